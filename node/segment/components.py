"""Connected components of a stack, labelled slice by slice and joined across neighbours.

Labels of a whole stack take four bytes a voxel, 2 GB for 2,000 slices of 512 x 512. Here only one
slice is labelled at a time; what is kept are the pieces that each slice holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

Box = tuple[slice, slice, slice]

_SQUARE = np.ones((3, 3), np.int8)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """Connected part of one slice: its rows and columns, and the pixels in them."""

    k: int
    rows: slice
    columns: slice
    pixels: NDArray[np.bool_]


def find_components(
    probability: NDArray[np.float16], threshold: float
) -> Iterator[tuple[Box, NDArray[np.bool_]]]:
    """Yield the connected components (26-neighbourhood) at or above a threshold.

    Parameters
    ----------
    probability : ndarray of float16, shape (z, y, x)
    threshold : float

    Yields
    ------
    tuple of slice
        Bounding box.
    ndarray of bool
        Component within the box. Largest first; of equal ones that which a raster scan meets
        first.
    """
    pieces: list[_Piece] = []
    contacts = [np.empty((0, 2), np.int64)]
    above = None  # pieces of the slice before, with a margin of one pixel; -1 is background
    for k, plane in enumerate(probability):
        mask = plane >= threshold
        if not mask.any():
            above = None
            continue
        labels, _ = ndimage.label(mask, structure=_SQUARE)
        numbered = np.pad(labels, 1).astype(np.int64) - 1
        numbered[numbered >= 0] += len(pieces)
        if above is not None:
            contacts.append(_touching(above, numbered))
        above = numbered
        pieces += [
            _Piece(k=k, rows=rows, columns=columns, pixels=labels[rows, columns] == label)
            for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1)
        ]
    members = _join(len(pieces), np.concatenate(contacts))
    sizes = [sum(int(pieces[n].pixels.sum()) for n in group) for group in members]
    # Pieces are numbered in raster order, so the first one of a group tells its place.
    for index in sorted(range(len(members)), key=lambda i: (-sizes[i], members[i][0])):
        yield _assemble([pieces[n] for n in members[index]])


def _touching(above: NDArray[np.int64], below: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of pieces of neighbouring slices, shape (n, 2), that share a face, edge or corner."""
    rows, columns = np.nonzero(below >= 0)
    own = below[rows, columns]
    count = int(own.max()) + 1
    met = [np.empty(0, np.int64)]
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            other = above[rows + down, columns + right]
            met.append(np.unique((other * count + own)[other >= 0]))  # faster than of pairs
    return np.stack(np.divmod(np.unique(np.concatenate(met)), count), axis=1)


def _join(count: int, contacts: NDArray[np.int64]) -> list[list[int]]:
    """Groups of pieces that hang together, each in ascending order."""
    if not count:
        return []
    ones = np.ones(len(contacts), np.int8)
    graph = sparse.coo_array((ones, contacts.T), shape=(count, count))
    groups, group_of = sparse.csgraph.connected_components(graph, directed=False)
    members: list[list[int]] = [[] for _ in range(groups)]
    for piece, group in enumerate(group_of):
        members[group].append(piece)
    return members


def _assemble(pieces: list[_Piece]) -> tuple[Box, NDArray[np.bool_]]:
    first, last = pieces[0].k, pieces[-1].k
    top = min(piece.rows.start for piece in pieces)
    bottom = max(piece.rows.stop for piece in pieces)
    left = min(piece.columns.start for piece in pieces)
    right = max(piece.columns.stop for piece in pieces)
    mask = np.zeros((last + 1 - first, bottom - top, right - left), np.bool_)
    for piece in pieces:
        rows = slice(piece.rows.start - top, piece.rows.stop - top)
        columns = slice(piece.columns.start - left, piece.columns.stop - left)
        mask[piece.k - first, rows, columns] |= piece.pixels
    return (slice(first, last + 1), slice(top, bottom), slice(left, right)), mask
