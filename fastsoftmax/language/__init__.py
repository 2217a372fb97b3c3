"""Language models as mixtures of experts: counted n-grams, a low-rank softmax, and caches of the document so far.

`texts` turns sentences into codes of words. `counted`, `low_rank`, their `product` and `cache` are the experts, which each
give every word a probability; `history` makes what the low-rank one sees; `mixture` asks all of them; `sampling` draws words.
How they are trained is told by `estimators.language_fitting`. May import: `mixing`, `text`, `linear`, `functional` and
what lies below.
"""
