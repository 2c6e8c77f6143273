#define DOCTEST_CONFIG_IMPLEMENT  // said by the next line too, but only where doctest.h is not precompiled
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
