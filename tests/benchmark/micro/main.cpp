// SPDX-License-Identifier: BSL-1.0
#include <benchmark/benchmark.h>

#include <thread>

int main(int argc, char** argv)
{
    // glibc and libstdc++ leave out the atomic instructions of locks and counts until a program has its first thread. Those of
    // our users have threads, so everything here is measured as it is then.
    std::thread([] {}).join();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
}
