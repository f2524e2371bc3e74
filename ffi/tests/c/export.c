/*
 * Exports a file of FHIR resources: kick-off, files, manifest. Every decision is libehi's; the program does what libehi
 * does not: it reads, writes, and keeps the job.
 *
 *     export INPUT.ndjson FOLDER     writes the files of the export into the folder and prints the manifest
 *
 * A server does the same, with a row of its database in place of `struct job`, and with its clock and its source of
 * randomness in place of the two constants, which are fixed so that the example prints the same each time.
 */
#include <ehi.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1767225600000) /* milliseconds: 2026-01-01T00:00:00Z */
#define ENTROPY "sixteen random b"

/* A job as it is stored. */
struct job {
    ehi_value *value; /* what libehi answered last */
    ehi_view record;  /* lent by it */
    ehi_view epoch;
};

/* A file of the export, while it is open and after. */
struct file {
    FILE *stream;
    char *opened; /* the members of its row that are known from the start */
    char *row;    /* its row of the manifest, once it is complete */
    bool is_error;
};

struct files {
    struct file *items; /* by number */
    size_t count;
};

/* Where failing calls leave their text. */
static ehi_bytes *error = NULL;

/* Two arguments for each `%.*s`. */
#define PRINTED(view) (int)(view).len, (view).data

static ehi_view text(const char *string) {
    ehi_view view = {string, strlen(string)};
    return view;
}

static const ehi_view NONE = {NULL, 0};

static void fail(const char *problem) {
    fprintf(stderr, "export: %s\n", problem);
    exit(1);
}

static void check(ehi_status status) {
    if (status != EHI_STATUS_OK) {
        ehi_view problem = ehi_bytes_view(error);
        fprintf(stderr, "export: %.*s (status %d)\n", PRINTED(problem), (int)status);
        exit(1);
    }
}

/* A part of a value as JSON, lent by the value. */
static ehi_view part(const ehi_value *value, const char *pointer) {
    ehi_view json;
    check(ehi_value_json(value, text(pointer), &json, &error));
    return json;
}

/* A string in a value. */
static ehi_view string(const ehi_value *value, const char *pointer) {
    ehi_view decoded;
    check(ehi_value_text(value, text(pointer), &decoded, &error));
    return decoded;
}

/* Like sprintf, into memory of its own. */
static char *format(const char *pattern, ...) {
    va_list arguments, again;
    va_start(arguments, pattern);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, pattern, arguments);
    char *formatted = length < 0 ? NULL : malloc((size_t)length + 1);
    if (formatted == NULL) {
        fail("out of memory");
    }
    vsnprintf(formatted, (size_t)length + 1, pattern, again);
    va_end(again);
    va_end(arguments);
    return formatted;
}

/* 1. A client asks for everything: a new job. */
static struct job kick_off(const ehi_endpoint *endpoint) {
    ehi_view head = text("{\"method\":\"GET\",\"target\":\"/fhir/$export\",\"headers\":[[\"prefer\",\"respond-async\"]]}");
    ehi_view principal = text("\"open\"");
    ehi_view facts = text("{\"activeJobs\":0}"); /* /kickOff/needs asked for it */

    ehi_value *routed = NULL;
    check(ehi_endpoint_route(endpoint, head, NONE, principal, &routed, &error));
    struct job job = {NULL, {NULL, 0}, {NULL, 0}};
    check(ehi_endpoint_decide(endpoint, part(routed, "/kickOff/kickOff"), principal, facts, text(ENTROPY), NOW, &job.value,
                              &error));
    ehi_value_free(routed);
    job.record = string(job.value, "/accepted/job/record");
    return job;
}

/* A server stores the new record, only over the version that it read, before it goes on. Takes the command. */
static void apply(struct job *job, char *command) {
    ehi_value *applied = NULL;
    check(ehi_job_apply(job->record, text(command), NOW, &applied, &error));
    free(command);
    ehi_value_free(job->value);
    job->value = applied;
    job->record = string(applied, "/job/record");
    job->epoch = part(applied, "/epoch");
}

static void begin(struct job *job) {
    apply(job, format("{\"begin\":{\"holder\":\"example\",\"until\":\"2026-01-01T01:00:00Z\","
                      "\"transactionTime\":\"2026-01-01T00:00:00Z\",\"snapshot\":\"1\",\"partitions\":1}}"));
}

/* The parts are JSON already, so they are put together as they are. */
static void open_file(struct files *files, uint32_t number, const ehi_value *event, const char *folder) {
    while (files->count <= number) {
        struct file *items = realloc(files->items, (files->count + 1) * sizeof *items);
        if (items == NULL) {
            fail("out of memory");
        }
        memset(&items[files->count], 0, sizeof *items);
        files->items = items;
        files->count += 1;
    }
    struct file *file = &files->items[number];
    ehi_view section = part(event, "/open/section"), name = part(event, "/open/name");
    file->opened = format("\"section\":%.*s,\"type\":%.*s,\"name\":%.*s,\"key\":%.*s", PRINTED(section),
                          PRINTED(part(event, "/open/type")), PRINTED(name), PRINTED(name));
    file->is_error = strncmp(section.data, "\"error\"", section.len) == 0;

    char *path = format("%s/%.*s", folder, PRINTED(string(event, "/open/name")));
    file->stream = fopen(path, "wb");
    if (file->stream == NULL) {
        fail("cannot create a file in the folder");
    }
    free(path);
}

static void append(struct file *file, ehi_view bytes) {
    if (fwrite(bytes.data, 1, bytes.len, file->stream) != bytes.len) {
        fail("cannot write to a file in the folder");
    }
}

/* A server publishes only what is stored whole, and under a key that no other attempt uses. */
static void close_file(struct file *file, const ehi_value *event, struct job *job) {
    if (fclose(file->stream) != 0) {
        fail("cannot write to a file in the folder");
    }
    file->row = format("{%s,\"count\":%.*s,\"bytes\":%.*s,\"sha256\":%.*s}", file->opened,
                       PRINTED(part(event, "/close/count")), PRINTED(part(event, "/close/bytes")),
                       PRINTED(part(event, "/close/sha256")));
    apply(job, format("{\"publish\":{\"epoch\":%.*s,\"partition\":0,\"rows\":[%s],\"checkpoint\":%.*s}}",
                      PRINTED(job->epoch), file->row, PRINTED(part(event, "/close/checkpoint"))));
}

/* Does what the writer asks for, until it asks for nothing. */
static void drain(ehi_writer *writer, struct files *files, struct job *job, const char *folder) {
    for (;;) {
        ehi_output output;
        uint32_t number;
        ehi_view bytes;
        const ehi_value *event;
        check(ehi_writer_poll_output(writer, &output, &number, &bytes, &event, &error));
        switch (output) {
        case EHI_OUTPUT_OPEN:
            open_file(files, number, event, folder);
            break;
        case EHI_OUTPUT_APPEND:
            append(&files->items[number], bytes);
            break;
        case EHI_OUTPUT_CLOSE:
            close_file(&files->items[number], event, job);
            break;
        default:
            return;
        }
    }
}

/* 2. The work: blocks of lines in, files out. */
static void run(struct job *job, FILE *input, const char *folder, struct files *files) {
    ehi_value *plan = NULL;
    ehi_writer *writer = NULL;
    check(ehi_job_plan(job->record, &plan, &error));
    check(ehi_writer_new(part(plan, ""), 0, NONE, NONE, NONE, &writer, &error));
    ehi_value_free(plan);

    static char buffer[1 << 16];
    uint64_t offset = 0;
    size_t length;
    while ((length = fread(buffer, 1, sizeof buffer, input)) > 0) {
        ehi_view block = {buffer, length};
        while (block.len > 0) {
            size_t consumed;
            bool drain_first; /* or not: here it is always drained */
            check(ehi_writer_write_lines(writer, block, text("input"), NONE, offset, &consumed, &drain_first, &error));
            drain(writer, files, job, folder);
            block.data += consumed;
            block.len -= consumed;
            offset += consumed;
        }
    }
    if (ferror(input)) {
        fail("cannot read the input");
    }
    check(ehi_writer_finish(writer, &error));
    drain(writer, files, job, folder);
    ehi_writer_free(writer);
    apply(job, format("{\"finishPartition\":{\"epoch\":%.*s,\"partition\":0}}", PRINTED(job->epoch)));
}

/* 3. The manifest: its head, then the rows, those of errors last. */
static void print_manifest(const struct job *job, const struct files *files) {
    ehi_value *head = NULL;
    ehi_manifest_writer *manifest = NULL;
    ehi_view piece;
    check(ehi_job_manifest_head(job->record, &head, &error));
    check(ehi_manifest_writer_new(part(head, ""), &manifest, &error));
    ehi_value_free(head);
    for (int errors = 0; errors <= 1; errors++) {
        for (size_t i = 0; i < files->count; i++) {
            if (files->items[i].is_error == errors) {
                check(ehi_manifest_writer_row(manifest, text(files->items[i].row), &piece, &error));
                printf("%.*s", PRINTED(piece));
            }
        }
    }
    check(ehi_manifest_writer_finish(manifest, &piece, &error));
    printf("%.*s\n", PRINTED(piece));
    ehi_manifest_writer_free(manifest);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: export INPUT.ndjson FOLDER\n");
        return 2;
    }
    FILE *input = fopen(argv[1], "rb");
    if (input == NULL) {
        fail("cannot open the input");
    }
    ehi_endpoint *endpoint = NULL;
    check(ehi_endpoint_new(text("{\"baseUrl\":\"https://ehr.example/fhir\",\"auth\":\"none\"}"), &endpoint, &error));

    struct files files = {NULL, 0};
    struct job job = kick_off(endpoint);
    begin(&job);
    run(&job, input, argv[2], &files);
    print_manifest(&job, &files);

    for (size_t i = 0; i < files.count; i++) {
        free(files.items[i].opened);
        free(files.items[i].row);
    }
    free(files.items);
    ehi_value_free(job.value);
    ehi_endpoint_free(endpoint);
    fclose(input);
    return 0;
}
