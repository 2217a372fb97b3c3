"""What the OpenMP runtime says, or that there is none; and how many threads the system lets this process start."""

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    enum { OPENMP_VERSION = _OPENMP };
    #else
    static int omp_get_max_threads(void) { return 1; }
    static int omp_get_thread_limit(void) { return 1; }
    enum { OPENMP_VERSION = 0 };
    #endif

    #include <pthread.h>
    #include <stdlib.h>

    typedef struct {
        pthread_mutex_t lock;
    } fsm_gate;

    static void *fsm_wait_at_gate(void *gate)
    {
        pthread_mutex_lock(&((fsm_gate *)gate)->lock);
        pthread_mutex_unlock(&((fsm_gate *)gate)->lock);
        return NULL;
    }

    /* How many of n threads, with stacks of stack_bytes (0: the default), can be alive at the same time; -1: no memory. */
    static int fsm_startable_threads(int n, size_t stack_bytes)
    {
        fsm_gate gate = {PTHREAD_MUTEX_INITIALIZER};
        pthread_t *threads = malloc((size_t)n * sizeof *threads);
        pthread_attr_t attributes;
        int started = 0;
        if (!threads)
            return -1;
        if (pthread_attr_init(&attributes)) {
            free(threads);
            return -1;
        }
        if (stack_bytes)
            pthread_attr_setstacksize(&attributes, stack_bytes);
        pthread_mutex_lock(&gate.lock);
        while (started < n && !pthread_create(&threads[started], &attributes, fsm_wait_at_gate, &gate))
            started++;
        pthread_mutex_unlock(&gate.lock);
        for (int i = 0; i < started; i++)
            pthread_join(threads[i], NULL);
        pthread_attr_destroy(&attributes);
        free(threads);
        return started;
    }
    """
    int OPENMP_VERSION
    int omp_get_max_threads() nogil
    int omp_get_thread_limit() nogil
    int fsm_startable_threads(int n, size_t stack_bytes) nogil

ENABLED = OPENMP_VERSION > 0
VERSION = OPENMP_VERSION


def max_threads():
    """OpenMP's default number of threads: OMP_NUM_THREADS, or the CPUs that this process may use."""
    return omp_get_max_threads()


def thread_limit():
    """The most threads that OpenMP runs, whatever it is asked for: OMP_THREAD_LIMIT, or a number beyond any need."""
    return omp_get_thread_limit()


def startable_threads(int n, size_t stack_bytes):
    """How many of `n` further threads, with stacks of `stack_bytes` (0: the system's default), can run at the same time.

    They are started for a moment, which takes some 20 microseconds each.
    """
    cdef int started
    with nogil:
        started = fsm_startable_threads(n, stack_bytes)
    if started < 0:
        raise MemoryError(f"no memory to start {n} threads")
    return started
