/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_STORE_OPS_H
#define BF_STORE_OPS_H

/* The store for files that a client process serves. */

#include "store.h"

struct pager;
struct served;

/* Holds the served file. */
int store_ops_new(struct pager *pager, struct served *served, struct store **ret);

#endif
