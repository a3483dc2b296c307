/* SPDX-License-Identifier: Apache-2.0 */
/* An agent, byte for byte, as AGENT_SYMBOL with its size behind it; what there is stands in meson.build, agents.c knows them. */
#define AGENT_SIZE_OF(symbol) symbol##_size
#define AGENT_SIZE(symbol) AGENT_SIZE_OF(symbol)

    .section .rodata
    .globl AGENT_SYMBOL
    .type AGENT_SYMBOL, STT_OBJECT
    .balign 16
AGENT_SYMBOL:
    .incbin AGENT_FILE
1:
    .size AGENT_SYMBOL, 1b - AGENT_SYMBOL

    .globl AGENT_SIZE(AGENT_SYMBOL)
    .type AGENT_SIZE(AGENT_SYMBOL), STT_OBJECT
    .balign 8
AGENT_SIZE(AGENT_SYMBOL):
    .quad 1b - AGENT_SYMBOL
    .size AGENT_SIZE(AGENT_SYMBOL), 8

    .section .note.GNU-stack, "", %progbits
