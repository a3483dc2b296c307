/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/driver.h"

#include "base/auto.h"
#include "deploy/driver_fake.h"

#include <string.h>

const char *const resource_kind_name[RESOURCE_KIND_COUNT] = {"node", "network", "router",
                                                             "external", "vm"};

static const struct driver *const drivers[] = {&driver_lab, &driver_ssh};
/* Found by their name, listed nowhere. */
static const struct driver *const test_drivers[] = {&driver_fake};

const struct driver *driver_at(unsigned i) { return i < ARRAY_SIZE(drivers) ? drivers[i] : NULL; }

const struct driver *driver_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
        if (strcmp(drivers[i]->name, name) == 0)
            return drivers[i];
    for (size_t i = 0; i < ARRAY_SIZE(test_drivers); i++)
        if (strcmp(test_drivers[i]->name, name) == 0)
            return test_drivers[i];
    return NULL;
}
