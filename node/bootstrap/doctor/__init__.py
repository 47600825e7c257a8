"""``onconode doctor``: the node and its peers, tried one by one, each with what to do."""
