# Compiler flags, sanitizers, and every third-party library as one INTERFACE target doline_lib_NAME, so that a room asks for
# it by name and the house test can see which room uses what.
option(DOLINE_TESTS "build the tests" ON)
option(DOLINE_UNIT_TESTS "among them those of single rooms: unit tests and the replay of fuzz corpora" ON)
option(DOLINE_FUZZ "build the fuzz targets with libFuzzer (clang only); without it they replay their corpus" OFF)
option(DOLINE_UNITY "compile the files of a room together: half the time, but a small change takes longer" OFF)
option(DOLINE_LTO "optimise the program across its rooms (gcc); the tests link the rooms as they are" OFF)
set(DOLINE_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=: address,undefined or thread")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# Programs only, no shared libraries: -fPIE, under which a function may be inlined that -fPIC must leave replaceable.
add_compile_options(-fPIE)
add_link_options(-pie)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # What it must be told to keep files that use precompiled headers; and to look at the compiler's own list of what a file
  # includes, rather than to preprocess it first, which a clean build would pay for every file.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_DEPEND=true
                                  ${CCACHE})
endif()

add_library(doline_flags INTERFACE)
target_compile_options(doline_flags INTERFACE -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast
                       -fno-strict-aliasing -fstack-protector-strong
                       # std::stable_sort of libstdc++ 12 uses what it itself calls deprecated; only clang tells
                       $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
target_compile_definitions(doline_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
target_include_directories(doline_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_link_options(doline_flags INTERFACE -Wl,-z,relro,-z,now)
if(DOLINE_UNITY)  # a file's names are not another file's business
  target_compile_options(doline_flags INTERFACE -Wno-shadow $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()
if(DOLINE_LTO)
  add_compile_options(-flto=auto -ffat-lto-objects)
endif()
if(DOLINE_SANITIZE)
  add_compile_options(-fsanitize=${DOLINE_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${DOLINE_SANITIZE})
  if(DOLINE_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
if(DOLINE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(tl-expected REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_path(ASIO_INCLUDE asio.hpp REQUIRED)

function(doline_library name)
  add_library(doline_lib_${name} INTERFACE)
  target_link_libraries(doline_lib_${name} INTERFACE ${ARGN})
endfunction()
function(doline_pkg name module)
  pkg_check_modules(PKG_${name} REQUIRED IMPORTED_TARGET ${module})
  doline_library(${name} PkgConfig::PKG_${name})
endfunction()
doline_pkg(uv libuv)
doline_pkg(mnl libmnl)
doline_pkg(cap_ng libcap-ng)
doline_pkg(sqlite sqlite3)
# Their headers only: these libraries are loaded when they are needed (src/control/curl_library.h, src/dns/ldns_library.h,
# src/transfer/tsig.cpp).
pkg_check_modules(PKG_curl REQUIRED libcurl)
doline_library(curl ${CMAKE_DL_LIBS})
target_include_directories(doline_lib_curl SYSTEM INTERFACE ${PKG_curl_INCLUDE_DIRS})
pkg_check_modules(PKG_ldns REQUIRED IMPORTED_TARGET ldns)  # tests that hold us against it are linked with it
doline_library(ldns ${CMAKE_DL_LIBS})
target_include_directories(doline_lib_ldns SYSTEM INTERFACE ${PKG_ldns_INCLUDE_DIRS})
pkg_check_modules(PKG_crypto REQUIRED libcrypto)
doline_library(crypto ${CMAKE_DL_LIBS})
target_include_directories(doline_lib_crypto SYSTEM INTERFACE ${PKG_crypto_INCLUDE_DIRS})
doline_pkg(xxhash libxxhash)
# Put into the program, where there is an archive: each is needed now and then only, and a library less to load is a start
# that is sooner over. Debian 12's RE2 stands alone; later ones bring Abseil's libraries with them.
function(doline_archive name module)
  pkg_check_modules(PKG_${name} REQUIRED IMPORTED_TARGET ${module})
  find_library(ARCHIVE_${name} ${CMAKE_STATIC_LIBRARY_PREFIX}${ARGV2}${CMAKE_STATIC_LIBRARY_SUFFIX})
  if(ARCHIVE_${name} AND NOT PKG_${name}_LIBRARIES MATCHES absl)
    doline_library(${name} ${ARCHIVE_${name}} Threads::Threads)
  else()
    # Without the compiler's flags that it names: precompiled headers are made without them.
    doline_library(${name} ${PKG_${name}_LINK_LIBRARIES} Threads::Threads)
    target_include_directories(doline_lib_${name} SYSTEM INTERFACE ${PKG_${name}_INCLUDE_DIRS})
  endif()
endfunction()
doline_archive(re2 re2 re2)
doline_archive(zlib zlib z)
doline_archive(lzma liblzma lzma)
doline_archive(zstd libzstd zstd)
doline_library(expected tl::expected)
doline_library(spdlog spdlog::spdlog fmt::fmt)
doline_library(json nlohmann_json::nlohmann_json)
doline_library(cli11 CLI11::CLI11)
if(TARGET yaml-cpp::yaml-cpp)
  doline_library(yaml_cpp yaml-cpp::yaml-cpp)
else()
  doline_library(yaml_cpp yaml-cpp)
endif()

# Asio ships neither .pc nor CMake files. ASIO_HAS_CO_AWAIT: clang is not recognised by 1.22 as knowing coroutines.
# ASIO_HAS_STD_ALIGNED_ALLOC: else it depends on which header a file includes first, and one file frees what another allocates.
add_library(doline_asio STATIC ${CMAKE_SOURCE_DIR}/cmake/asio.cpp)
target_include_directories(doline_asio SYSTEM PUBLIC ${ASIO_INCLUDE})
target_compile_definitions(doline_asio PUBLIC ASIO_STANDALONE ASIO_NO_DEPRECATED ASIO_SEPARATE_COMPILATION ASIO_HAS_CO_AWAIT=1
                           ASIO_HAS_STD_ALIGNED_ALLOC=1)
target_link_libraries(doline_asio PUBLIC Threads::Threads)
doline_library(asio doline_asio)
