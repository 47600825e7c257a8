"""Adapters from published data sets and from folders of a user to labelled cases, one file each."""
