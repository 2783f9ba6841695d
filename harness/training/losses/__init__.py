"""Losses of the recipes: functions of a batch's vectors, with gradient caching for large batches.

info_nce    mono, cross, hybrid, mixed, english, and xlco: languages drawn apart are the batch's
lakda       InfoNCE, and agreement of one question's rankings in two languages
mimo        InfoNCE, and agreement with an English teacher
"""
