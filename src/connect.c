/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bf_connect() and bf_disconnect(). */

#include <stdlib.h>
#include <unistd.h>

#include "address.h"
#include "api.h"
#include "client.h"
#include "map.h"
#include "open.h"
#include "process.h"

#define SOCKET_VARIABLE "BIGFILED_SOCKET"

/* Better to know now than at the first bf_open() that this process gets no userfaultfd. */
static int connect_check_uffd(const struct bf_client *client) {
        int fd, r;

        r = client_uffd_new(client, &fd);
        if (r == 0)
                close(fd);
        return r;
}

int bf_connect(struct bf_client **ret, const char *address) {
        API_CALL;
        struct bf_client *client;
        struct address a;
        int r;

        r = address_parse(address, secure_getenv(SOCKET_VARIABLE), &a);
        if (r < 0)
                return r;
        r = client_new(&a, &client);
        if (r < 0)
                return r;
        r = connect_check_uffd(client);
        if (r < 0) {
                client_free(client);
                return r;
        }
        *ret = client;
        return 0;
}

/* While all is mapped still, as what serves a file may touch others; and the last one first, as it may need those before it. */
static void disconnect_serves(struct bf_client *client) {
        struct bf_fileh *fileh;

        LIST_FOREACH(fileh, &client->handles.filehs, entry)
                if (fileh->serve)
                        serve_stop(fileh->serve);
}

/* Nobody else is in a call on this client, so nobody else changes the lists. In a forked child everything belongs to the other process; there a
 * lock may be taken for ever. */
void bf_disconnect(struct bf_client *client) {
        API_CALL;
        struct bf_fileh *fileh;
        struct mapping *mapping;

        if (!client || client->session.process != process_id())
                return;
        disconnect_serves(client);
        if (!session_is_connected(&client->session)) /* nobody has to be told, and nobody waited for */
                client_stop(client);
        while ((fileh = LIST_FIRST(&client->handles.filehs))) {
                while ((mapping = LIST_FIRST(&fileh->mappings)))
                        mapping_discard(mapping);
                fileh_discard(fileh);
        }
        client_free(client);
}
