/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a harness fuzz_<parser>.c defines: one input through the parser.
 *
 * shape   data[size], any bytes; nothing ends them
 * errors  returns 0 always; a crash, a leak or a failed assert is what is looked for
 * source  https://llvm.org/docs/LibFuzzer.html, "Fuzz Target"
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
