/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does one header compile alone, and twice?
 *
 * check.sh compiles this file once for each header of src/, with HEADER set to "folder/name.h".
 */
#include HEADER
#include HEADER

/* A translation unit may not be empty. */
extern const int include_one;
const int include_one = 1;
