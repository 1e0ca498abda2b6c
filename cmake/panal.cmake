# One static library per folder, one test program per folder of tests/unit.

# A warning that only an optimiser gives (GCC's about null and bounds, in library headers too) must
# not keep anybody from running Panal: in release builds warnings are warnings.
add_library(panal_options INTERFACE)
target_compile_options(panal_options INTERFACE
  -Wall -Wextra -Wpedantic $<$<NOT:$<CONFIG:Release>>:-Werror> -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wnull-dereference -fstack-protector-strong
  $<$<CXX_COMPILER_ID:GNU>:-Wlogical-op -Wduplicated-cond>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-null-dereference>
  $<$<CONFIG:Release>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>)
# GCC 12 warns of things that are not in code it has instrumented; dev is where warnings are errors.
if(PANAL_UNIT_ONLY)
  target_compile_options(panal_options INTERFACE -Wno-error)
endif()
target_include_directories(panal_options INTERFACE ${CMAKE_SOURCE_DIR})
# A daemon loads what it calls, not what its libraries' other halves call (libostree brings libcurl).
target_link_options(panal_options INTERFACE LINKER:--as-needed
  $<$<CONFIG:Release>:LINKER:-z,relro,-z,now>)

# The release preset compiles several sources as one (CMAKE_UNITY_BUILD): headers
# are most of what a compiler reads. Names of unnamed namespaces then meet those of neighbours;
# a source for which that is right goes alone:
# panal_alone(SOURCE...): of the current folder
function(panal_alone)
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ OUTPUT_VARIABLE sources)
  set_source_files_properties(${sources} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# panal_library(NAME DEPS...): every .cc of the current folder (not of folders below it).
function(panal_library name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC panal_options ${ARGN})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE panal_options ${ARGN})
  endif()
endfunction()

# panal_program(NAME SOURCE DEPS...): build/<preset>/bin/NAME.
function(panal_program name source)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE panal_options ${ARGN})
endfunction()

add_custom_target(unit_tests)  # every unit test program: all that presets asan and tsan need

# panal_unit_tests(FOLDER DEPS...): tests/unit/FOLDER/*.cc, registered in ctest under label unit.
function(panal_unit_tests folder)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${folder}/*.cc)
  if(NOT sources)
    return()
  endif()
  string(REPLACE "/" "_" name "unit_${folder}")
  add_executable(${name} ${sources})
  add_dependencies(unit_tests ${name})
  target_link_libraries(${name} PRIVATE panal_options ${ARGN} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE PANAL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  # Instrumented, GCC 12 finds uninitialised members in libstdc++'s <regex>.
  target_compile_options(${name} PRIVATE
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:${PANAL_UNIT_ONLY}>>:-Wno-maybe-uninitialized>)
  gtest_discover_tests(${name} PROPERTIES LABELS unit DISCOVERY_TIMEOUT 60
    TEST_PREFIX "${folder}: " DISCOVERY_MODE PRE_TEST)
endfunction()

# panal_system_tests(FOLDER [MACHINE_SETTINGS] DEPS...): tests/system/FOLDER/*.cc -> one program, run
# whole inside scripts/lab by ctest under label system (root and the real kernel).
# MACHINE_SETTINGS: it changes KSM, zram or sysctls, so it runs while no other lab does.
function(panal_system_tests folder)
  cmake_parse_arguments(PARSE_ARGV 1 tests "MACHINE_SETTINGS" "" "")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/system/${folder}/*.cc)
  if(NOT sources)
    return()
  endif()
  string(REPLACE "/" "_" name "system_${folder}")
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE panal_options ${tests_UNPARSED_ARGUMENTS} GTest::gmock
    GTest::gtest_main)
  # Each file has a plan, or a machine, of its own, under the same names.
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
  target_compile_definitions(${name} PRIVATE PANAL_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    PANAL_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  set(lab ${CMAKE_SOURCE_DIR}/scripts/lab)
  if(tests_MACHINE_SETTINGS)
    list(APPEND lab --machine-settings)
  endif()
  add_test(NAME "system ${folder}" COMMAND ${lab} $<TARGET_FILE:${name}>)
  set_tests_properties("system ${folder}" PROPERTIES LABELS system TIMEOUT 900)
endfunction()
