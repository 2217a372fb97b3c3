/* This takes back what vec.h defined, so that it can be included for the next type. */
#undef V
#undef VI
#undef LANES
#undef INLINE
#undef LEAF
#undef MM
#undef MM_
#undef MM__
#undef MM_PREFIX
#undef MM_SUFFIX
#undef MM_MASK
#undef MM_CMP_MASK
#undef LN2
#undef EXP_MAX
#undef REAL_TINY
