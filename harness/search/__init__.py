"""Exact search: the rank of every gold and the head of every ranking, from one score matrix.

The score of a query and a passage is the real inner product of their float32 vectors, and ranks
order these numbers: fast products decide what their error leaves no doubt of, slower ones the rest
(:mod:`harness.search.exact`).

Nothing is sorted. A gold's rank is 1 + how many passages outrank it, so one product per query
language against the pool of all passages, and one count per gold and language block, hold every
monolingual, cross-lingual and multilingual setting at once.

The pool's columns stand in the one total order of ties (passage id descending, trec_eval's rule):
of two equal scores the lower column ranks higher. No processor, matrix kernel, shape of a tile,
number of threads or memory budget can change a result.
"""
