/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Whole dialogues with a live core: the input is a list of steps, a byte each with what it needs behind it. Peers connect, say what they may say and what
 * not, with descriptors that fit and that do not, map memory and touch it, change it behind the daemon's back, serve files and answer well or badly, and go
 * at any moment; what they kept is shown to the core again as that of a daemon that died. After each input nothing of it may be left (core.h), and no
 * thread asleep.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "chan.h"
#include "core.h"
#include "ledger.h"
#include "report.h"
#include "script.h"
#include "servant.h"
#include "toucher.h"
#include "uffd_abi.h"

#define N_PEERS 3
#define N_FILES 6
#define N_WINDOWS 4
#define N_SERVANTS 2
#define STEPS_MAX 200
#define GONE_MAX (STEPS_MAX + N_FILES * N_WINDOWS)
#define REPLY_MSEC 20
#define REPLY_MSEC_OF_OPEN 2000
#define LEDGER_BYTES (4 * 4096)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct window {
        uint64_t address; /* 0: none */
        uint64_t length;
};

#define FILE_FDS 5

/* A big file as its client has it. */
struct file {
        bool is_there;
        int fds[FILE_FDS]; /* the file, the userfaultfd, the memory, the ledger, the spill file; -1: none */
        unsigned peer;
        uint32_t number;
        uint32_t flags;
        uint32_t pending; /* the request that is to give it its number */
        uint64_t size;
        uint64_t block_size;
        struct window windows[N_WINDOWS];
        uint8_t ledger[LEDGER_BYTES]; /* as it was before the daemon let go of it */
};

static struct {
        int lines[N_PEERS]; /* -1: not connected */
        uint32_t serial;
        struct file files[N_FILES];
        struct window gone[GONE_MAX]; /* unmapped, their addresses kept */
        unsigned n_gone;
        struct servant servants[N_SERVANTS]; /* which may serve by any of the lines */
        struct servant found;                /* what was found by a name: no more than a token */
        int trace;                           /* a socket; -1: none */
        char path[96];
} talk;

/* --- peers ---------------------------------------------------------------------------------------------------------------------------------------- */

static void peer_leave(unsigned peer) {
        if (talk.lines[peer] >= 0)
                close(talk.lines[peer]);
        talk.lines[peer] = -1;
}

static struct file *file_of_serial(uint32_t serial) {
        for (struct file *file = talk.files; file < talk.files + N_FILES; file++)
                if (file->is_there && file->pending == serial)
                        return file;
        return NULL;
}

static void peer_take_open_reply(struct chan_packet *packet) {
        struct file *file = file_of_serial(packet->msg.header.serial);

        if (!file || packet->msg.open_reply.error < 0)
                return;
        file->pending = 0;
        file->number = packet->msg.open_reply.handle;
        file->size = packet->msg.open_reply.size;
        for (unsigned i = 0; i < packet->n_fds; i++)
                file->fds[2 + i] = chan_packet_take(packet, i);
}

static void peer_take_found(struct chan_packet *packet) {
        if (packet->n_fds != 1)
                return;
        servant_forget(&talk.found);
        talk.found.token = chan_packet_take(packet, 0);
        talk.found.size = packet->msg.lookup_reply.size;
}

static void peer_take_trace(struct chan_packet *packet) {
        if (packet->n_fds != 1)
                return;
        if (talk.trace >= 0)
                close(talk.trace);
        talk.trace = chan_packet_take(packet, 0);
}

static void peer_take_serve_reply(struct chan_packet *packet) {
        for (struct servant *servant = talk.servants; servant < talk.servants + N_SERVANTS; servant++)
                if (servant->pending == packet->msg.header.serial)
                        servant_hear(servant, packet);
}

static void peer_take(struct chan_packet *packet) {
        switch (packet->msg.header.id) {
        case WIRE_OPEN | WIRE_REPLY:
        case WIRE_ADOPT | WIRE_REPLY:
                peer_take_open_reply(packet);
                break;
        case WIRE_SERVE | WIRE_REPLY:
                peer_take_serve_reply(packet);
                break;
        case WIRE_LOOKUP | WIRE_REPLY:
                peer_take_found(packet);
                break;
        case WIRE_TRACE | WIRE_REPLY:
                peer_take_trace(packet);
                break;
        default:
                break;
        }
}

/* Takes replies until this one came, or for so long. */
static void peer_hear(unsigned peer, uint32_t serial, int msec) {
        bool has_come = false;

        while (talk.lines[peer] >= 0 && !has_come) {
                struct pollfd pollfd = { .fd = talk.lines[peer], .events = POLLIN };
                struct chan_packet packet;

                if (poll(&pollfd, 1, msec) <= 0)
                        return;
                if (chan_receive(talk.lines[peer], &packet) != 1) {
                        peer_leave(peer);
                        return;
                }
                CORE_CHECK(wire_validate(WIRE_TO_CLIENT, packet.msg.bytes, packet.size, packet.n_fds) == WIRE_OK);
                has_come = packet.msg.header.serial == serial;
                peer_take(&packet);
                chan_packet_close(&packet);
        }
}

/* Sends the message, with a bit of it changed now and then, and hears the reply, unless the input says otherwise. */
static void peer_say(unsigned peer, union wire_msg *msg, const int *fds, unsigned n_fds) {
        unsigned manner = next_byte();

        if (talk.lines[peer] < 0)
                return;
        if (manner >= 250)
                msg->bytes[next_of((unsigned) msg->header.size)] ^= (uint8_t) (1u << next_of(8));
        if (msg->header.size < sizeof(msg->header) || msg->header.size > sizeof(*msg))
                msg->header.size = sizeof(msg->header);
        if (chan_send(talk.lines[peer], msg, fds, n_fds) < 0)
                peer_leave(peer);
        else if (manner % 4 != 3)
                peer_hear(peer, msg->header.serial, msg->header.id == WIRE_OPEN || msg->header.id == WIRE_ADOPT ? REPLY_MSEC_OF_OPEN : REPLY_MSEC);
}

static void begin(union wire_msg *msg, enum wire_id id) {
        wire_init(msg, id, ++talk.serial);
}

static void peer_greet(unsigned peer) {
        union wire_msg msg;

        begin(&msg, WIRE_HELLO);
        msg.hello.version = WIRE_VERSION;
        if (next_is_odd())
                msg.hello.version = next_byte();
        peer_say(peer, &msg, NULL, 0);
}

static void step_connect(void) {
        unsigned peer = next_of(N_PEERS);

        peer_leave(peer);
        talk.lines[peer] = core_connect();
        if (!next_is_odd())
                peer_greet(peer);
}

static void step_leave(void) {
        unsigned peer = next_of(N_PEERS);

        if (talk.lines[peer] >= 0 && next_is_odd())
                (void) shutdown(talk.lines[peer], next_of(2) ? SHUT_WR : SHUT_RD);
        else
                peer_leave(peer);
}

static void step_hear(void) {
        peer_hear(next_of(N_PEERS), 0, 0);
}

/* --- descriptors ---------------------------------------------------------------------------------------------------------------------------------- */

static int make_pipe_end(void) {
        int fds[2];

        CORE_CHECK(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
        close(fds[1]);
        return fds[0];
}

static int make_backing(unsigned kind) {
        switch (kind) {
        default:
                return open(talk.path, O_RDWR | O_CLOEXEC);
        case 9:
                return open(talk.path, O_RDONLY | O_CLOEXEC);
        case 10:
                return open(talk.path, O_WRONLY | O_CLOEXEC);
        case 11:
                return open(talk.path, O_RDWR | O_APPEND | O_CLOEXEC);
        case 12:
                return open("/dev/zero", O_RDWR | O_CLOEXEC);
        case 13:
                return open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        case 14:
                return make_pipe_end();
        case 15:
                return open(talk.path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        }
}

static int make_new_uffd(int flags) {
        if (core_device() >= 0)
                return ioctl(core_device(), USERFAULTFD_IOC_NEW, flags);
        return (int) syscall(SYS_userfaultfd, flags);
}

static int make_uffd(unsigned kind) {
        struct uffdio_api api = { .api = UFFD_API, .features = BF_UFFD_FEATURES };
        int fd;

        if (kind == 15)
                return make_pipe_end();
        fd = make_new_uffd(kind == 14 ? O_CLOEXEC : O_CLOEXEC | O_NONBLOCK);
        CORE_CHECK(fd >= 0);
        if (kind != 13)
                CORE_CHECK(ioctl(fd, UFFDIO_API, &api) == 0);
        return fd;
}

/* --- files ---------------------------------------------------------------------------------------------------------------------------------------- */

/* Gone, as far as the kernel tells the daemon; but nothing else gets the address, which a thread may be about to touch. */
static void *unmap(uint64_t address, uint64_t length) {
        return mmap((void *) (uintptr_t) address, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static void window_unmap(struct window *window) {
        if (!window->address)
                return;
        CORE_CHECK(unmap(window->address, window->length) != MAP_FAILED);
        CORE_CHECK(talk.n_gone < GONE_MAX);
        talk.gone[talk.n_gone++] = *window;
        window->address = 0;
}

/* When no thread touches anything any more. */
static void windows_free(void) {
        while (talk.n_gone > 0) {
                talk.n_gone--;
                munmap((void *) (uintptr_t) talk.gone[talk.n_gone].address, talk.gone[talk.n_gone].length);
        }
}

static void file_forget(struct file *file) {
        if (!file->is_there)
                return;
        for (unsigned i = 0; i < 5; i++)
                if (file->fds[i] >= 0)
                        close(file->fds[i]);
        for (unsigned i = 0; i < N_WINDOWS; i++)
                window_unmap(&file->windows[i]);
        file->is_there = false;
}

/* One that is there; NULL: that one is not. */
static struct file *next_file(void) {
        struct file *file = &talk.files[next_of(N_FILES)];

        return file->is_there ? file : NULL;
}

/* servant: who serves it; NULL: nobody, it is the file that is there. */
static void file_say_open(struct file *file, const struct servant *servant) {
        union wire_msg msg;

        begin(&msg, WIRE_OPEN);
        msg.header.flags = file->flags;
        msg.open.block_size = next_is_odd() ? next_number() : file->block_size;
        if (next_is_odd())
                msg.open.size = next_number();
        else
                msg.open.size = servant ? servant->size : N_PAGES * PAGE - next_of(2);
        file->pending = msg.header.serial;
        peer_say(file->peer, &msg, file->fds, next_is_odd() && file->fds[0] >= 0 ? 1 : 2);
}

static void step_open(void) {
        unsigned i = next_of(N_FILES), peer = next_of(N_PEERS), kind = next_of(16), uffd_kind = next_of(16), flags = next_of(8);
        struct file *file = &talk.files[i];

        file_forget(file);
        *file = (struct file) {
                .is_there = true, .fds = { make_backing(kind), make_uffd(uffd_kind), -1, -1, -1 }, .peer = peer, .flags = flags, .block_size = PAGE,
        };
        if (next_of(4) == 3)
                file->block_size = PAGE << next_of(10);
        if (kind == 9 && !next_is_odd())
                file->flags |= WIRE_OPEN_READONLY;
        else if (!next_is_odd())
                file->flags &= WIRE_OPEN_SHARED;
        file_say_open(file, NULL);
}

/* One that somebody serves. */
static void step_open_served(void) {
        unsigned i = next_of(N_FILES), peer = next_of(N_PEERS), flags = next_of(2), which = next_of(N_SERVANTS + 1);
        const struct servant *servant = which < N_SERVANTS ? &talk.servants[which] : &talk.found;
        struct file *file = &talk.files[i];

        if (servant->token < 0)
                return;
        file_forget(file);
        *file = (struct file) {
                .is_there = true, .fds = { fcntl(servant->token, F_DUPFD_CLOEXEC, 0), make_uffd(next_of(16)), -1, -1, -1 }, .peer = peer,
                .flags = next_is_odd() ? next_of(8) : flags, .block_size = PAGE << (next_of(4) == 3 ? next_of(10) : 0),
        };
        file_say_open(file, servant);
}

static struct window *file_free_window(struct file *file) {
        for (unsigned i = 0; i < N_WINDOWS; i++)
                if (!file->windows[i].address)
                        return &file->windows[i];
        return NULL;
}

static void file_register(const struct file *file, uint64_t address, uint64_t length) {
        struct uffdio_register reg = {
                .range = { address, length },
                .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | (file->flags & WIRE_OPEN_READONLY ? 0 : UFFDIO_REGISTER_MODE_WP),
        };

        (void) ioctl(file->fds[1], UFFDIO_REGISTER, &reg);
}

/* The same range for each, or another one. */
static void file_say_map(struct file *file, uint64_t address, uint64_t offset, uint64_t length) {
        union wire_msg msg;

        begin(&msg, WIRE_MAP);
        msg.map.handle = file->number;
        msg.map.address = next_is_odd() ? address + next_number() : address;
        msg.map.offset = next_is_odd() ? next_number() : offset;
        msg.map.length = next_is_odd() ? next_number() : length;
        peer_say(file->peer, &msg, NULL, 0);
}

static void step_map(void) {
        struct file *file = next_file();
        struct window *window = file ? file_free_window(file) : NULL;
        uint64_t mask = file ? file->block_size - 1 : 0, offset = next_page() & ~mask, length = (((1 + next_of(N_PAGES)) * PAGE) + mask) & ~mask;
        bool is_readonly = file && file->flags & WIRE_OPEN_READONLY;
        void *at;

        if (!window || file->fds[2] < 0)
                return;
        if (offset + length > ((file->size + mask) & ~mask))
                length = mask + 1;
        at = mmap(NULL, length, PROT_READ | PROT_WRITE, is_readonly ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED, file->fds[2], (off_t) offset);
        if (at == MAP_FAILED)
                return;
        *window = (struct window) { (uintptr_t) at, length };
        if (!next_is_odd())
                file_register(file, window->address, length);
        file_say_map(file, window->address, offset, length);
}

static struct window *next_window(struct file *file) {
        struct window *window = file ? &file->windows[next_of(N_WINDOWS)] : NULL;

        return window && window->address ? window : NULL;
}

static void step_unmap(void) {
        struct file *file = next_file();
        struct window *window = next_window(file);
        struct uffdio_range range;
        union wire_msg msg;

        if (!window)
                return;
        begin(&msg, WIRE_UNMAP);
        msg.unmap.handle = file->number;
        msg.unmap.address = window->address + (next_is_odd() ? PAGE : 0);
        range = (struct uffdio_range) { window->address, window->length };
        peer_say(file->peer, &msg, NULL, 0);
        window_unmap(window);
        (void) ioctl(file->fds[1], UFFDIO_WAKE, &range);
}

static void step_touch(void) {
        struct window *window = next_window(next_file());
        unsigned manner = next_byte();

        if (window)
                (void) toucher_touch(window->address + (next_page() % window->length), manner & 1, manner & 2);
}

/* --- what is asked of a file ---------------------------------------------------------------------------------------------------------------------- */

static void step_ask(void) {
        static const uint8_t ids[] = {
                WIRE_WRITEOUT, WIRE_WRITEOUT, WIRE_WRITEOUT, WIRE_DISCARD, WIRE_INVALIDATE, WIRE_LOAD, WIRE_LOAD, WIRE_ADVISE, WIRE_STAT, WIRE_CLOSE,
                WIRE_RESIZE, WIRE_SHOWN,
        };
        struct file *file = next_file();
        unsigned id = ids[next_of(sizeof(ids))];
        union wire_msg msg;

        if (!file)
                return;
        begin(&msg, id);
        msg.handle.handle = next_is_odd() ? next_of(8) : file->number; /* every one of these has it there */
        if (id == WIRE_WRITEOUT)
                msg.header.flags = next_of(8);
        else if (id == WIRE_RESIZE)
                msg.resize.size = next_number();
        else if (msg.header.size == sizeof(msg.range)) {
                msg.range.advice = id == WIRE_ADVISE ? next_of(N_WIRE_ADVICES + 1) : 0;
                msg.range.offset = next_number();
                msg.range.length = next_number();
        }
        peer_say(next_is_odd() ? next_of(N_PEERS) : file->peer, &msg, NULL, 0);
}

static void step_ask_the_pool(void) {
        union wire_msg msg;
        unsigned peer = next_of(N_PEERS);

        begin(&msg, next_of(2) ? WIRE_RECLAIM : WIRE_POOL_STAT);
        if (msg.header.id == WIRE_RECLAIM)
                msg.reclaim.bytes = next_number();
        peer_say(peer, &msg, NULL, 0);
}

static void step_ask_of_itself(void) {
        static const uint8_t ids[] = { WIRE_REPORT, WIRE_REPORT, WIRE_TRACE, WIRE_RECLAIM_FILE };
        unsigned peer = next_of(N_PEERS);
        union wire_msg msg;

        begin(&msg, ids[next_of(sizeof(ids))]);
        switch (msg.header.id) {
        case WIRE_REPORT:
                msg.report.kind = next_of(N_REPORT_KINDS + 1);
                msg.report.pager = next_is_odd() ? next_byte() : next_of(2);
                break;
        case WIRE_TRACE:
                msg.trace.kinds = next_is_odd() ? (uint32_t) next_number() : next_byte();
                msg.trace.inode = next_of(2) ? next_number() : 0;
                break;
        default:
                msg.reclaim_file.file = next_is_odd() ? (uint32_t) next_number() : next_of(N_FILES);
                msg.reclaim_file.bytes = next_number();
                break;
        }
        peer_say(peer, &msg, NULL, 0);
}

static void step_hear_what_happens(void) {
        char bytes[4096];

        if (talk.trace < 0)
                return;
        (void) !recv(talk.trace, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (next_of(4) > 0)
                return;
        close(talk.trace);
        talk.trace = -1;
}

/* Any bytes, with any descriptors. */
static void step_babble(void) {
        unsigned peer = next_of(N_PEERS), n_fds = next_of(WIRE_FDS_MAX + 1);
        const struct file *file = next_file();
        int fds[WIRE_FDS_MAX];
        union wire_msg msg;

        begin(&msg, WIRE_STAT);
        msg.header.id = (uint16_t) next_byte();
        msg.header.size = sizeof(msg.header) + next_of(64);
        for (size_t i = sizeof(msg.header); i < msg.header.size; i++)
                msg.bytes[i] = (uint8_t) next_byte();
        for (unsigned i = 0; i < n_fds; i++)
                fds[i] = file && file->fds[i % FILE_FDS] >= 0 ? file->fds[i % FILE_FDS] : STDERR_FILENO;
        peer_say(peer, &msg, fds, n_fds);
}

/* --- files that are served ------------------------------------------------------------------------------------------------------------------------ */

static struct servant *next_servant(void) {
        return &talk.servants[next_of(N_SERVANTS)];
}

static void step_serve(void) {
        struct servant *servant = next_servant();
        unsigned peer = next_of(N_PEERS);
        union wire_msg msg;
        int token;

        begin(&msg, WIRE_SERVE);
        servant_ask(servant, &msg, &token);
        peer_say(peer, &msg, &token, token >= 0);
}

static void step_answer(void) {
        servant_answer(next_servant());
}

static void step_serve_no_more(void) {
        struct servant *servant = next_servant();

        if (servant->socket >= 0 && next_of(2))
                (void) shutdown(servant->socket, SHUT_WR);
        else
                servant_stop(servant);
}

static void step_look_up(void) {
        unsigned peer = next_of(N_PEERS);
        union wire_msg msg;

        begin(&msg, WIRE_LOOKUP);
        servant_name(msg.lookup.name);
        peer_say(peer, &msg, NULL, 0);
}

/* --- behind the daemon's back --------------------------------------------------------------------------------------------------------------------- */

static void act_lock(const struct file *file, off_t at) {
        struct flock lock = { .l_type = next_of(2) ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET, .l_start = at };

        (void) fcntl(file->fds[2], F_OFD_SETLK, &lock);
}

static void step_act(void) {
        struct file *file = next_file();
        struct window *window = next_window(file);
        unsigned act = next_of(12);
        uint64_t at = next_page();
        void *there;

        if (!window)
                return;
        there = (void *) (uintptr_t) (window->address + at % window->length);
        switch (act) {
        case 0:
                (void) madvise(there, PAGE, MADV_DONTNEED);
                break;
        case 1:
                (void) madvise(there, PAGE, MADV_REMOVE);
                break;
        case 2:
                (void) fallocate(file->fds[2], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) at, (off_t) PAGE);
                break;
        case 3:
                (void) !pwrite(file->fds[2], &at, sizeof(at), (off_t) at);
                break;
        case 4:
                (void) ftruncate(file->fds[2], (off_t) (N_PAGES * PAGE + at));
                break;
        case 5:
                (void) unmap((uintptr_t) there, PAGE);
                break;
        case 6:
                (void) mprotect(there, PAGE, PROT_READ);
                break;
        case 7:
                (void) fcntl(file->fds[1], F_SETFL, next_of(2) ? O_NONBLOCK : 0);
                break;
        case 8:
                close(file->fds[1]);
                file->fds[1] = -1;
                break;
        case 9:
                (void) truncate(talk.path, (off_t) at);
                break;
        case 10:
                file_register(file, window->address, window->length);
                break;
        case 11:
                act_lock(file, (off_t) (UINT64_C(1) << 62) + next_byte());
                break;
        }
}

/* --- another daemon ------------------------------------------------------------------------------------------------------------------------------- */

static void file_keep(struct file *file) {
        if (file->is_there && file->fds[3] >= 0)
                (void) !pread(file->fds[3], file->ledger, sizeof(file->ledger), 0);
}

/* As if the daemon had died: the ledger says what it said, or that some page is in another state, and some of the content is there. */
static void file_restore(const struct file *file) {
        uint64_t word = ledger_word(next_of(N_PAGES), next_of(16), 0), place = next_byte() * 6;
        char path[64];
        int fd;

        if (!file->is_there || file->fds[3] < 0)
                return;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fds[3]);
        fd = open(path, O_RDWR | O_CLOEXEC);
        CORE_CHECK(fd >= 0);
        (void) !pwrite(fd, file->ledger, sizeof(file->ledger), 0);
        if (next_is_odd())
                (void) !pwrite(fd, &word, sizeof(word), (off_t) (4096 + place * sizeof(word)));
        close(fd);
        for (unsigned n = next_of(8); file->fds[2] >= 0 && n > 0; n--)
                (void) !pwrite(file->fds[2], &word, sizeof(word), (off_t) next_page());
}

static void file_adopt(struct file *file, unsigned peer) {
        union wire_msg msg;

        if (!file->is_there || file->fds[3] < 0 || file->fds[0] < 0 || file->fds[1] < 0)
                return;
        begin(&msg, WIRE_ADOPT);
        msg.header.flags = file->flags & 7;
        msg.open.size = next_is_odd() ? next_number() : file->size;
        msg.open.block_size = file->block_size;
        file->number = 0;
        file->pending = msg.header.serial;
        file->peer = peer;
        peer_say(peer, &msg, file->fds, file->fds[4] >= 0 && !next_is_odd() ? 5 : 4);
        if (file->number == 0)
                return;
        for (unsigned i = 0; i < N_WINDOWS; i++)
                if (file->windows[i].address)
                        file_say_map(file, file->windows[i].address, 0, file->windows[i].length);
        if (!next_is_odd()) {
                begin(&msg, WIRE_SHOWN);
                msg.handle.handle = file->number;
                peer_say(peer, &msg, NULL, 0);
        }
}

static void step_adopt(void) {
        struct file *file = next_file();

        if (file)
                file_adopt(file, next_of(N_PEERS));
}

static unsigned count_fds(void) {
        unsigned n = servant_n_fds(&talk.found) + (talk.trace >= 0);

        for (const struct servant *servant = talk.servants; servant < talk.servants + N_SERVANTS; servant++)
                n += servant_n_fds(servant);
        for (const struct file *file = talk.files; file < talk.files + N_FILES; file++)
                for (unsigned i = 0; i < 5; i++)
                        n += file->is_there && file->fds[i] >= 0;
        return n;
}

/* Not while the core has any of it. */
static void restore_all(void) {
        for (unsigned i = 0; i < 200; i++) {
                if (core_is_settled(count_fds())) {
                        for (struct file *file = talk.files; file < talk.files + N_FILES; file++)
                                file_restore(file);
                        return;
                }
                core_pause();
        }
}

static void step_revive(void) {
        for (struct file *file = talk.files; file < talk.files + N_FILES; file++)
                file_keep(file);
        for (unsigned i = 0; i < N_PEERS; i++)
                peer_leave(i);
        restore_all();
        for (unsigned i = 0; i < N_PEERS; i++) {
                talk.lines[i] = core_connect();
                peer_greet(i);
        }
        for (struct file *file = talk.files; file < talk.files + N_FILES; file++)
                if (!next_is_odd())
                        file_adopt(file, file->peer);
}

/* --- all of it ------------------------------------------------------------------------------------------------------------------------------------ */

static void (*const steps[])(void) = {
        step_touch, step_touch, step_touch, step_touch, step_ask, step_ask, step_ask, step_open, step_map, step_map, step_unmap, step_act, step_connect,
        step_leave, step_hear, step_ask_the_pool, step_babble, step_adopt, step_revive, step_serve, step_answer, step_answer, step_answer, step_open_served,
        step_look_up, step_serve_no_more, step_ask_of_itself, step_hear_what_happens,
};

static void talk_make_file(void) {
        static uint64_t words[PAGE / sizeof(uint64_t)];
        int fd = open(talk.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        CORE_CHECK(fd >= 0);
        for (uint64_t page = 0; page < N_PAGES; page++) {
                for (size_t i = 0; i < PAGE / sizeof(uint64_t); i++)
                        words[i] = page;
                CORE_CHECK(pwrite(fd, words, PAGE, (off_t) (page * PAGE)) == (ssize_t) PAGE);
        }
        close(fd);
}

static void talk_begin(const uint8_t *data, size_t size) {
        struct stat st;

        if (talk.path[0] == '\0') {
                core_start();
                toucher_start();
                core_started();
        }
        snprintf(talk.path, sizeof(talk.path), "%s/file", core_directory());
        if (stat(talk.path, &st) < 0 || st.st_size != (off_t) (N_PAGES * PAGE))
                talk_make_file();
        script_begin(data, size);
        for (unsigned i = 0; i < N_PEERS; i++)
                talk.lines[i] = -1;
        for (unsigned i = 0; i < N_SERVANTS; i++)
                servant_init(&talk.servants[i]);
        servant_init(&talk.found);
        talk.trace = -1;
}

static void talk_forget_what_is_served(void) {
        for (unsigned i = 0; i < N_SERVANTS; i++)
                servant_forget(&talk.servants[i]);
        servant_forget(&talk.found);
        if (talk.trace >= 0)
                close(talk.trace);
}

static void talk_end(void) {
        for (unsigned i = 0; i < N_PEERS; i++)
                peer_leave(i);
        for (struct file *file = talk.files; file < talk.files + N_FILES; file++)
                file_forget(file);
        talk_forget_what_is_served();
        toucher_settle();
        windows_free();
        core_settle();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        talk_begin(data, size);
        talk.lines[0] = core_connect();
        peer_greet(0);
        for (unsigned n = 0; n < STEPS_MAX && script_goes_on(); n++)
                steps[next_of(sizeof(steps) / sizeof(*steps))]();
        talk_end();
        return 0;
}
