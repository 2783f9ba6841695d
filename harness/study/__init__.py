"""Studies: a research question as one file, its trials trained and scored by one command.

A trial is one training: an arm (a recipe and its data), one value of each axis, one seed. The file
(:mod:`harness.study.file`) lists them, :mod:`harness.study.run` trains and scores those that are
missing, :mod:`harness.study.results` reads the folder of a study.
"""
