/* small.h: included first by what runs once a program or a recording, or only calls: small, not fast. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("Os")
#endif
