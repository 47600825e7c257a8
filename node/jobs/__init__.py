"""Durable work: the ledger in SQL is the truth, Dask is only the muscle.

``state`` is the one table by which a job may move, ``ledger`` and ``outbox`` move jobs and
deliveries in single transactions, ``failure`` translates errors into job events. ``dispatcher``
holds the clocks, ``engine`` runs tasks on Dask, ``dask_nodes`` are its processes, ``supervisor``
keeps all processes of a node alive and ``lifeline`` lets them die with it.
"""
