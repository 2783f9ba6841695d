"""Exact search: the rank of every relevant passage and the top k, from one score matrix.

The score of a query and a passage is the exact inner product of their float32 vectors. Fast
products decide every comparison outside their error bound, slower ones the rest
(:mod:`harness.search.exact`).

Nothing is sorted. The rank of a relevant passage is 1 + the number of passages ranked above it, so
one product per query language against the pool of all passages, and one count per relevant passage
and language block, give every monolingual, cross-lingual and multilingual setting at once.

The pool's columns are in the order of ties (passage id descending, trec_eval's rule): of two equal
scores the lower column ranks higher. No processor, matrix kernel, tile shape, number of threads or
memory budget can change a result.
"""
