/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/live_netns.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int live_netns_open(const char *netns, struct err *err)
{
    const char *colon = strchr(netns, ':'), *name = colon ? colon + 1 : netns;
    size_t n_prefix = (size_t)(name - netns);
    char path[128];
    int fd;

    if (*netns == 0) {
        snprintf(path, sizeof path, "/proc/thread-self/ns/net");
    } else if (n_prefix == 5 && strncmp(netns, "name:", 5) == 0 && *name && !strchr(name, '/') &&
               strcmp(name, "..") != 0) {
        snprintf(path, sizeof path, "/run/netns/%s", name);
    } else if (n_prefix == 4 && strncmp(netns, "pid:", 4) == 0 && *name &&
               strspn(name, "0123456789") == strlen(name)) {
        snprintf(path, sizeof path, "/proc/%s/ns/net", name);
    } else {
        return err_say(err, "'%s' is no network namespace: name:NAME or pid:NUMBER", netns);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "network namespace %s", netns);
    return fd;
}

struct live_netns_call {
    int ns;
    int (*fn)(void *arg, struct err *err);
    void *arg;
    struct err *err;
    int r;
};

/* To be where one is already takes no rights. */
static bool live_netns_is_here(int ns)
{
    struct stat here, there;

    return stat("/proc/thread-self/ns/net", &here) == 0 && fstat(ns, &there) == 0 &&
           here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

static void *live_netns_thread(void *arg)
{
    struct live_netns_call *call = arg;

    if (call->ns < 0 && unshare(CLONE_NEWNET) < 0)
        call->r = err_set(call->err, errno, "making a network namespace: that needs CAP_SYS_ADMIN");
    else if (call->ns >= 0 && !live_netns_is_here(call->ns) && setns(call->ns, CLONE_NEWNET) < 0)
        call->r =
            err_set(call->err, errno, "entering the network namespace: that needs CAP_SYS_ADMIN");
    else
        call->r = call->fn(call->arg, call->err);
    return NULL;
}

int live_netns_do(int ns, int (*fn)(void *arg, struct err *err), void *arg, struct err *err)
{
    struct live_netns_call call = {.ns = ns, .fn = fn, .arg = arg, .err = err};
    pthread_t thread;
    int r = pthread_create(&thread, NULL, live_netns_thread, &call);

    if (r != 0)
        return err_set(err, r, "a thread for a network namespace");
    pthread_join(thread, NULL);
    return call.r;
}

int live_netns_find(const char *ifname, struct live_netns_link *ret_link, struct err *err)
{
    AUTO(close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {0};
    struct live_netns_link link;

    if (fd < 0)
        return err_set(err, errno, "opening a socket");
    if (strlen(ifname) == 0 || strlen(ifname) >= sizeof request.ifr_name)
        return err_set(err, ENODEV, "interface '%s'", ifname);
    memcpy(request.ifr_name, ifname, strlen(ifname));
    if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
        return err_set(err, errno, "interface %s", ifname);
    link.ifindex = (uint32_t)request.ifr_ifindex;
    if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
        return err_set(err, errno, "interface %s", ifname);
    link.type = request.ifr_hwaddr.sa_family;
    link.ethernet = link.type == ARPHRD_ETHER || link.type == ARPHRD_LOOPBACK;
    *ret_link = link;
    return 0;
}
