/*
 * Exports a file of FHIR resources: kick-off, files, manifest. Every decision is libehi's; the program does what libehi
 * does not: it reads, writes, and keeps the job.
 *
 *     export INPUT.ndjson FOLDER [PATIENT...]
 *
 * writes the files of the export into the folder and prints the manifest. Without ids of patients it exports everything,
 * else a group of which these are the members.
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
#define HOLDER "example" /* who works on the job */

/* Bounds of memory. */
#define SET_TEXTS_MAX 10000000
#define SETS_MAX 8

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
    struct file *items;
    size_t count;
    size_t first; /* of the present writer, which numbers its own from 0 */
};

/* What a writer must know of the rest of the data. */
struct sets {
    ehi_value *wanted; /* pairs of a set and the task that finds what it is made of */
    ehi_bytes *blocks[SETS_MAX];
    size_t count; /* how many are made */
};

/* The work on a job. */
struct work {
    struct job job;
    ehi_view plan;
    ehi_view population; /* whose data; of a system export none */
    FILE *input;
    const char *folder;
    struct files files;
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

static bool has(const ehi_value *value, const char *pointer) {
    ehi_view json;
    return ehi_value_json(value, text(pointer), &json, NULL) == EHI_STATUS_OK;
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

/* 1. A client asks for everything, or for a group: a new job. */
static struct job kick_off(const ehi_endpoint *endpoint, const char *target) {
    char *head = format("{\"method\":\"GET\",\"target\":\"%s\",\"headers\":[[\"prefer\",\"respond-async\"]]}", target);
    ehi_view principal = text("\"open\"");
    ehi_view facts = text("{\"activeJobs\":0,\"groups\":[\"g\"]}"); /* /kickOff/needs asked for them */

    ehi_value *routed = NULL;
    check(ehi_endpoint_route(endpoint, text(head), NONE, principal, &routed, &error));
    free(head);
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
    apply(job, format("{\"begin\":{\"holder\":\"" HOLDER "\",\"until\":\"2026-01-01T01:00:00Z\","
                      "\"transactionTime\":\"2026-01-01T00:00:00Z\",\"snapshot\":\"1\",\"partitions\":1}}"));
}

/* The parts are JSON already, so they are put together as they are. */
static void open_file(struct files *files, size_t number, const ehi_value *event, const char *folder) {
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
static void close_file(struct file *file, const ehi_value *event, ehi_view partition, struct job *job) {
    if (fclose(file->stream) != 0) {
        fail("cannot write to a file in the folder");
    }
    file->row = format("{%s,\"count\":%.*s,\"bytes\":%.*s,\"sha256\":%.*s}", file->opened,
                       PRINTED(part(event, "/close/count")), PRINTED(part(event, "/close/bytes")),
                       PRINTED(part(event, "/close/sha256")));
    apply(job, format("{\"publish\":{\"epoch\":%.*s,\"partition\":%.*s,\"rows\":[%s],\"checkpoint\":%.*s}}",
                      PRINTED(job->epoch), PRINTED(partition), file->row, PRINTED(part(event, "/close/checkpoint"))));
}

/* Does what the writer asks for, until it asks for nothing. Only a collecting pass has a builder. */
static void drain(struct work *work, ehi_writer *writer, ehi_view partition, ehi_set_builder *builder) {
    struct files *files = &work->files;
    for (;;) {
        ehi_output output;
        uint32_t number;
        ehi_view bytes;
        const ehi_value *event;
        check(ehi_writer_poll_output(writer, &output, &number, &bytes, &event, &error));
        switch (output) {
        case EHI_OUTPUT_NOTHING:
            return;
        case EHI_OUTPUT_OPEN:
            open_file(files, files->first + number, event, work->folder);
            break;
        case EHI_OUTPUT_APPEND:
            append(&files->items[files->first + number], bytes);
            break;
        case EHI_OUTPUT_CLOSE:
            close_file(&files->items[files->first + number], event, partition, &work->job);
            break;
        case EHI_OUTPUT_FOUND:
            check(ehi_set_builder_push(builder, bytes, &error));
            break;
        default:
            fail("an output that this program does not know");
        }
    }
}

/* One pass over all lines: for a partition of the job, or for a set. */
static void go_through(struct work *work, ehi_view task, const struct sets *sets, ehi_view partition,
                       ehi_set_builder *builder) {
    ehi_writer *writer = NULL;
    check(ehi_writer_new(work->plan, task, work->population, NONE, &writer, &error));
    for (size_t i = 0; i < sets->count; i++) {
        char set[32];
        snprintf(set, sizeof set, "/%zu/0", i);
        check(ehi_writer_add_set(writer, part(sets->wanted, set), ehi_bytes_view(sets->blocks[i]), &error));
    }
    work->files.first = work->files.count;

    static char buffer[1 << 16];
    uint64_t offset = 0;
    size_t length;
    rewind(work->input);
    while ((length = fread(buffer, 1, sizeof buffer, work->input)) > 0) {
        ehi_view block = {buffer, length};
        while (block.len > 0) {
            size_t consumed;
            bool drain_first; /* or not: here it is always drained */
            check(ehi_writer_write_lines(writer, block, text("input"), NONE, offset, &consumed, &drain_first, &error));
            drain(work, writer, partition, builder);
            block.data += consumed;
            block.len -= consumed;
            offset += consumed;
        }
    }
    if (ferror(work->input)) {
        fail("cannot read the input");
    }
    check(ehi_writer_finish(writer, &error));
    drain(work, writer, partition, builder);
    ehi_writer_free(writer);
}
/* What a pass must know before its first line. Each set is made by a pass of its own, with those before it. */
static struct sets make_sets(struct work *work, ehi_view pass) {
    struct sets sets = {NULL, {NULL}, 0};
    check(ehi_plan_sets(work->plan, pass, &sets.wanted, &error));
    for (; sets.count < SETS_MAX; sets.count++) {
        char set[32], task[32];
        snprintf(set, sizeof set, "/%zu/0", sets.count);
        snprintf(task, sizeof task, "/%zu/1", sets.count);
        if (!has(sets.wanted, set)) {
            return sets;
        }
        ehi_set_builder *builder = NULL;
        check(ehi_set_builder_new(part(sets.wanted, set), SET_TEXTS_MAX, &builder, &error));
        /* A set of vetoes has no task, and would be refused here: this program has none. */
        go_through(work, part(sets.wanted, task), &sets, NONE, builder);
        check(ehi_set_builder_seal(builder, &sets.blocks[sets.count], &error));
        ehi_set_builder_free(builder);
    }
    fail("a pass needs more sets than this program makes");
    return sets;
}

static void free_sets(struct sets *sets) {
    for (size_t i = 0; i < sets->count; i++) {
        ehi_bytes_free(sets->blocks[i]);
    }
    ehi_value_free(sets->wanted);
}

/*
 * 2. The work: blocks of lines in, files out, once for each partition that the job lists. An export of a group takes more
 * than the main pass, so the list is asked for and never assumed.
 */
static void run(struct work *work) {
    ehi_value *plan = NULL, *wants = NULL;
    check(ehi_job_plan(work->job.record, &plan, &error));
    work->plan = part(plan, "");
    for (;;) {
        check(ehi_job_wants(work->job.record, text(HOLDER), NOW, &wants, &error));
        if (!has(wants, "/run/partitions/0")) {
            break;
        }
        ehi_view partition = part(wants, "/run/partitions/0/partition");
        struct sets sets = make_sets(work, part(wants, "/run/partitions/0/pass"));
        go_through(work, part(wants, "/run/partitions/0"), &sets, partition, NULL);
        apply(&work->job, format("{\"finishPartition\":{\"epoch\":%.*s,\"partition\":%.*s}}", PRINTED(work->job.epoch),
                                 PRINTED(partition)));
        free_sets(&sets);
        ehi_value_free(wants);
    }
    ehi_value_free(wants);
    ehi_value_free(plan);
}

/* Whose data a group export holds. The block may be stored; every writer of the job gets the same. */
static ehi_bytes *make_population(char **patients, int count) {
    ehi_population_builder *builder = NULL;
    ehi_bytes *block = NULL;
    check(ehi_population_builder_new(&builder, &error));
    for (int i = 0; i < count; i++) {
        check(ehi_population_builder_push(builder, text(patients[i]), &error));
    }
    check(ehi_population_builder_seal(builder, &block, &error));
    ehi_population_builder_free(builder);
    return block;
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
    if (argc < 3) {
        fprintf(stderr, "usage: export INPUT.ndjson FOLDER [PATIENT...]\n");
        return 2;
    }
    FILE *input = fopen(argv[1], "rb");
    if (input == NULL) {
        fail("cannot open the input");
    }
    ehi_endpoint *endpoint = NULL;
    ehi_view config = text("{\"baseUrl\":\"https://ehr.example/fhir\",\"auth\":\"none\",\"edition\":\"2.0\"}");
    check(ehi_endpoint_new(config, &endpoint, &error));

    bool of_group = argc > 3;
    ehi_bytes *members = of_group ? make_population(argv + 3, argc - 3) : NULL;
    struct work work;
    memset(&work, 0, sizeof work);
    work.job = kick_off(endpoint, of_group ? "/fhir/Group/g/$export" : "/fhir/$export");
    work.population = of_group ? ehi_bytes_view(members) : NONE;
    work.input = input;
    work.folder = argv[2];
    begin(&work.job);
    run(&work);
    print_manifest(&work.job, &work.files);

    for (size_t i = 0; i < work.files.count; i++) {
        free(work.files.items[i].opened);
        free(work.files.items[i].row);
    }
    free(work.files.items);
    ehi_value_free(work.job.value);
    ehi_bytes_free(members);
    ehi_endpoint_free(endpoint);
    fclose(input);
    return 0;
}
