/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_MUTANT_H
#define BF_MUTANT_H

/*
 * Faults put in on purpose, to see that the tests find them: tests/mutants builds the library or the daemon once more with each of them (-DBF_MUTANT=number)
 * and runs a test that must fail then. In what is installed there is none.
 */

#define MUTANT_NO_UFFD 1        /* the library keeps no copy of its userfaultfds when the daemon goes */
#define MUTANT_NO_WAKE 2        /* after another daemon has come, nobody is woken who waits in a fault that the old one had read */
#define MUTANT_NO_DONTFORK 3    /* a forked child has the mappings, but nobody who serves them */
#define MUTANT_DIRTY_IS_CLEAN 4 /* the daemon takes up dirty pages as clean ones */
#define MUTANT_NO_WAITING 5     /* a writeout does not wait for users of a shared file who are not back */

#ifndef BF_MUTANT
#define BF_MUTANT 0
#endif

#endif
