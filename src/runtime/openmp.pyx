"""What the OpenMP runtime says, or that there is none."""

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    enum { OPENMP_VERSION = _OPENMP };
    #else
    static int omp_get_max_threads(void) { return 1; }
    enum { OPENMP_VERSION = 0 };
    #endif
    """
    int OPENMP_VERSION
    int omp_get_max_threads() nogil

ENABLED = OPENMP_VERSION > 0
VERSION = OPENMP_VERSION


def max_threads():
    """OpenMP's default number of threads: OMP_NUM_THREADS, or the CPUs that this process may use."""
    return omp_get_max_threads()
