/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>

/*
 * Calls of the innermost loops as the kernel has them, without libc's wrappers.
 *
 * A wrapper is a cancellation point, which none of our threads needs, and with musl four functions deep: after a call into
 * the kernel, which leaves nothing in the CPU's return predictor, the return from each of them is mispredicted. Of an ICMP
 * echo that was a twelfth. And musl's sendmmsg() is a row of sendmsg(), as the kernel's struct msghdr has wider lengths than
 * POSIX's: where musl pads them, the padding has to be 0.
 *
 * errors  as send(2), recv(2), sendmmsg(2) and recvmmsg(2): -1 and errno
 * source  the psABI of x86-64, appendix A.2; arch/arm64/kernel/entry.S; struct user_msghdr in include/linux/socket.h
 */
#if !defined(__LP64__) || !(defined(__x86_64__) || defined(__aarch64__))
#define CALL_BY_LIBC /* other machines: not written */
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CALL_BY_LIBC /* which the sanitizers see through */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CALL_BY_LIBC
#endif
#endif

#if defined(CALL_BY_LIBC)
#define call_send send
#define call_recv recv
#define call_sendmmsg sendmmsg

static inline int call_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    return recvmmsg(fd, messages, n, flags, NULL);
}
#else
#if defined(__x86_64__)
static inline long call_kernel(long number, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = 0;
    register long r9 __asm__("r9") = 0;
    long r = number;

    __asm__ volatile("syscall"
                     : "+a"(r)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return r;
}
#else
static inline long call_kernel(long number, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = 0;
    register long x5 __asm__("x5") = 0;

    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#endif

static inline long call_answer(long r)
{
    if (r >= 0)
        return r;
    errno = (int)-r;
    return -1;
}

static inline ssize_t call_send(int fd, const void *bytes, size_t n, int flags)
{
    return call_answer(call_kernel(SYS_sendto, fd, (long)(intptr_t)bytes, (long)n, flags));
}

static inline ssize_t call_recv(int fd, void *bytes, size_t n, int flags)
{
    return call_answer(call_kernel(SYS_recvfrom, fd, (long)(intptr_t)bytes, (long)n, flags));
}

static inline int call_sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    return (int)call_answer(
        call_kernel(SYS_sendmmsg, fd, (long)(intptr_t)messages, (long)n, flags));
}

static inline int call_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    return (int)call_answer(
        call_kernel(SYS_recvmmsg, fd, (long)(intptr_t)messages, (long)n, flags));
}
#endif
