/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "json.h"
#include "line_json.h"

void file_line_json(struct json_object *json, const struct file_line *line) {
        const struct report_file *file = &line->file;

        json_add_text(json, "path", file->path);
        json_add_number(json, "number", file->number);
        json_add_number(json, "device", file->device);
        json_add_number(json, "inode", file->inode);
        json_add_number(json, "uid", file->uid);
        json_add_text(json, "store", file->store);
        json_add_real(json, "age_seconds", (double) line->age_nsec / 1e9);
        json_add_bool(json, "shared", file->flags & REPORT_FILE_SHARED);
        json_add_bool(json, "huge", file->flags & REPORT_FILE_HUGE);
        json_add_bool(json, "writable", file->flags & REPORT_FILE_WRITABLE);
        json_add_bool(json, "truncated", file->flags & REPORT_FILE_TRUNCATED);
        json_add_bool(json, "direct", file->flags & REPORT_FILE_DIRECT);
        json_add_bool(json, "direct_refused", file->flags & REPORT_FILE_DIRECT_REFUSED);
        json_add_number(json, "size", file->size);
        json_add_number(json, "block_size", file->block_size);
        json_add_number(json, "resident_bytes", file->resident_bytes);
        json_add_number(json, "dirty_bytes", file->dirty_bytes);
        json_add_number(json, "spilled_bytes", file->spilled_bytes);
        json_add_number(json, "handles", file->handles);
        json_add_number(json, "pager", file->pager);
        json_add_number(json, "faults", file->faults);
        json_add_number(json, "loads", file->loads);
        json_add_number(json, "stores", file->stores);
        json_add_number(json, "evictions", file->evictions);
        json_add_number(json, "waiting_faults", file->waiting);
        json_add_real(json, "longest_wait_seconds", (double) file->wait_nsec / 1e9);
}

void peer_line_json(struct json_object *json, const struct peer_line *line) {
        json_add_number(json, "id", line->peer.id);
        json_add_number(json, "pid", (uint64_t) line->peer.pid);
        json_add_number(json, "uid", line->peer.uid);
        json_add_text(json, "command", line->peer.command);
        json_add_real(json, "age_seconds", (double) line->age_nsec / 1e9);
        json_add_number(json, "handles", line->peer.handles);
        json_add_number(json, "mappings", line->peer.mappings);
        json_add_number(json, "mapped_bytes", line->mapped_bytes);
        json_add_number(json, "faults", line->faults);
        json_add_number(json, "requests", line->peer.requests);
}
