/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf-embed OBJECT HEADER: instructions of a BPF object as a C array, with the places where a map's descriptor goes.
 *
 * The object has one section "programs", whose first instruction is where it starts, and symbols in a section "maps".
 *
 * source  System V ABI, ELF-64; kernel Documentation/bpf/llvm_reloc.rst
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BPF_MACHINE = 247, RELOC_64_64 = 1, RELOC_64_32 = 10, INSN_SIZE = 8, MAX_OBJECT = 1 << 20 };

struct object {
    const char *path;
    uint8_t *data;
    size_t size;
    const Elf64_Shdr *sections;
    unsigned n_sections;
    const char *names;
};

static void die(const char *path, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static void die(const char *path, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fprintf(stderr, "bpf-embed: %s: ", path);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void object_read(struct object *o)
{
    FILE *f = fopen(o->path, "rbe");
    const Elf64_Ehdr *head;

    if (!f)
        die(o->path, "%s", strerror(errno));
    o->data = malloc(MAX_OBJECT);
    if (!o->data)
        die(o->path, "no memory");
    o->size = fread(o->data, 1, MAX_OBJECT, f);
    fclose(f);
    head = (const Elf64_Ehdr *)o->data;
    if (o->size < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
        head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_machine != BPF_MACHINE)
        die(o->path, "not an object for BPF");
    o->n_sections = head->e_shnum;
    if (head->e_shoff > o->size || o->n_sections * sizeof *o->sections > o->size - head->e_shoff ||
        head->e_shstrndx >= o->n_sections)
        die(o->path, "cut short");
    o->sections = (const Elf64_Shdr *)(o->data + head->e_shoff);
    for (unsigned i = 0; i < o->n_sections; i++)
        if (o->sections[i].sh_type != SHT_NOBITS &&
            (o->sections[i].sh_offset > o->size ||
             o->sections[i].sh_size > o->size - o->sections[i].sh_offset))
            die(o->path, "section %u is cut short", i);
    o->names = (const char *)o->data + o->sections[head->e_shstrndx].sh_offset;
}

/* The number of a section of that name or type; 0 none. */
static unsigned object_find(const struct object *o, const char *name, uint32_t type)
{
    for (unsigned i = 1; i < o->n_sections; i++)
        if (name ? strcmp(o->names + o->sections[i].sh_name, name) == 0
                 : o->sections[i].sh_type == type)
            return i;
    return 0;
}

static void *object_section(const struct object *o, unsigned i)
{
    return o->data + o->sections[i].sh_offset;
}

struct places {
    uint32_t insn[256];
    const char *map[256];
    unsigned n;
};

static void relocate(const struct object *o, unsigned programs, struct places *ret)
{
    unsigned rel = object_find(o, ".relprograms", 0), maps = object_find(o, "maps", 0);
    unsigned symtab = object_find(o, NULL, SHT_SYMTAB);
    const Elf64_Rel *r = object_section(o, rel);
    const Elf64_Sym *symbols = object_section(o, symtab);
    const char *strings = object_section(o, o->sections[symtab].sh_link);

    if (!rel || !maps || !symtab)
        die(o->path, "no maps");
    for (size_t i = 0; i < o->sections[rel].sh_size / sizeof *r; i++) {
        const Elf64_Sym *symbol = &symbols[ELF64_R_SYM(r[i].r_info)];

        if (ELF64_R_TYPE(r[i].r_info) == RELOC_64_32 && symbol->st_shndx == programs) {
            /* A call within the section: clang has resolved it. */
            continue;
        }
        if (ELF64_R_TYPE(r[i].r_info) != RELOC_64_64 || symbol->st_shndx != maps)
            die(o->path, "relocation %zu is to '%s', which is no map", i,
                strings + symbol->st_name);
        if (ret->n == sizeof ret->insn / sizeof *ret->insn)
            die(o->path, "too many references to maps");
        ret->insn[ret->n] = (uint32_t)(r[i].r_offset / INSN_SIZE);
        ret->map[ret->n++] = strings + symbol->st_name;
    }
}

static void write_header(const struct object *o, unsigned programs, const struct places *places,
                         FILE *f)
{
    const uint64_t *insns = object_section(o, programs);
    size_t n = o->sections[programs].sh_size / INSN_SIZE;

    fprintf(f, "/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */\n");
    fprintf(f, "/* Made by tools/bpf-embed.c from latency.bpf.c. */\n");
    fprintf(f, "static const uint64_t bpf_object_insns[%zu] = {", n);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%s0x%llx,", i % 4 ? " " : "\n    ", (unsigned long long)insns[i]);
    fprintf(f,
            "\n};\nstatic const struct {\n    uint32_t insn;\n    const char *map;\n} "
            "bpf_object_maps[%u] = {\n",
            places->n);
    for (unsigned i = 0; i < places->n; i++)
        fprintf(f, "    {%u, \"%s\"},\n", places->insn[i], places->map[i]);
    fprintf(f, "};\n");
}

int main(int argc, char **argv)
{
    struct object o = {0};
    struct places places = {0};
    unsigned programs;
    FILE *f;

    if (argc != 3) {
        fprintf(stderr, "usage: bpf-embed OBJECT HEADER\n");
        return 2;
    }
    o.path = argv[1];
    object_read(&o);
    programs = object_find(&o, "programs", 0);
    if (!programs)
        die(o.path, "no section 'programs'");
    relocate(&o, programs, &places);
    f = fopen(argv[2], "we");
    if (!f)
        die(argv[2], "%s", strerror(errno));
    write_header(&o, programs, &places, f);
    if (fclose(f) != 0)
        die(argv[2], "%s", strerror(errno));
    free(o.data);
    return 0;
}
