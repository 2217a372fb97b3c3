"""What bounds the kernels where their goals were not reached, as it was found out by profiles, counters and trials."""

BOUNDS = (
    "Loss and gradients in new arrays, dense head and CSR rows: the pages of new arrays. With 1.3 or 4 GB of "
    "gradients, the system takes longer to provide their pages than the kernels take to fill them; the Adagrad step, "
    "which writes into arrays that are there, and `out=` show the difference.",
    "A trained head with rounded gradients: the logits of all classes are one product; their exponentials, and the "
    "search for those that are not rounded to zero, come on top of it.",
    "log_softmax: the exponential takes as long as copying a row, and the two overlap in part only. A row is read "
    "once where it fits the second-level cache, else twice.",
    "CSR rows with a dense W: each entry reads a run of W and adds to another one. At 64 entries a row and 4,000 "
    "classes, these are 8 times the bytes of W's columns in use, and more than the caches hold.",
    "Pairs: misses of the caches. A pair reads the bias and the weight of its class and adds to a slot of a table of "
    "its row's classes; with ten million classes, each bias is a line of memory. In batches of 256 rows, the second "
    "thread also has to be woken for each of the step's parallel loops.",
    "The sampled step: some 12 parallel loops and 270 small calls in 600 microseconds. Threads that sleep have to be "
    "woken; if they spin for 20 times as long instead, a step takes 0.85 of the time on a quiet machine, and 4 to 10 "
    "times as long where others use the machine. To prepare the next batch meanwhile in a Python thread gained "
    "nothing.",
    "One row: after a pause, caches and the second thread are cold. In a loop, a row of the sparse term takes 23 "
    "microseconds, 14 of which are checks in Python. int8 weights are widened by three instructions a vector: 63 "
    "microseconds at 20,000 x 128.",
    "The screen in 8 bits is not sublinear: it reads every class, in a quarter of the bytes, and computes as many "
    "products.",
)
