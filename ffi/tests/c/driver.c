/*
 * Speaks for libehi in tests that every face of the engine passes: reads calls from standard input, makes them, and writes
 * the answers to standard output, until the input ends.
 *
 * A frame is a count of parts, then each part as a length and bytes; numbers are 32 bits, little endian. The first part of
 * a call is its name, the others are its arguments. The first part of an answer is `ok`, followed by the outputs, or
 * `refused`, followed by the text of the error. Numbers among the parts are decimal text.
 *
 * There is one endpoint, one manifest writer, one builder of populations, one of sets and one writer at a time; a new one
 * replaces the one before.
 */
#include <ehi.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A part of a call, with a NUL after it. */
struct part {
    char *bytes;
    size_t len;
};

struct call {
    struct part *parts;
    size_t count;
};

/* What an answer holds besides `ok`; no call has more outputs. */
struct answer {
    ehi_status status;
    ehi_view outputs[3];
    size_t count;
    char numbers[3][24];
    ehi_value *value; /* to be freed once it is sent */
    ehi_bytes *bytes;
    ehi_bytes *error;
};

static ehi_endpoint *endpoint = NULL;
static ehi_manifest_writer *manifest = NULL;
static ehi_population_builder *population = NULL;
static ehi_set_builder *set = NULL;
static ehi_writer *writer = NULL;

static void fail(const char *problem) {
    fprintf(stderr, "driver: %s\n", problem);
    exit(2);
}

static ehi_view text(const char *string) {
    ehi_view view = {string, strlen(string)};
    return view;
}

static const ehi_view NONE = {NULL, 0};

/* The part with that number, counted from 1: part 0 is the name. */
static ehi_view argument(const struct call *call, size_t number) {
    if (number >= call->count) {
        fail("a call lacks an argument");
    }
    ehi_view view = {call->parts[number].bytes, call->parts[number].len};
    return view;
}

static int64_t integer(const struct call *call, size_t number) {
    return strtoll(argument(call, number).data, NULL, 10);
}

static void put(struct answer *answer, ehi_view output) {
    answer->outputs[answer->count++] = output;
}

static void put_number(struct answer *answer, uint64_t number) {
    char *digits = answer->numbers[answer->count];
    snprintf(digits, sizeof answer->numbers[0], "%" PRIu64, number);
    put(answer, text(digits));
}

/* The value that the call answered with is its one output. */
static void put_value(struct answer *answer) {
    if (answer->status == EHI_STATUS_OK) {
        ehi_view json;
        answer->status = ehi_value_json(answer->value, NONE, &json, &answer->error);
        put(answer, json);
    }
}

static void endpoint_new(const struct call *call, struct answer *answer) {
    ehi_endpoint_free(endpoint);
    endpoint = NULL;
    answer->status = ehi_endpoint_new(argument(call, 1), &endpoint, &answer->error);
}

static void route(const struct call *call, struct answer *answer) {
    answer->status = ehi_endpoint_route(endpoint, argument(call, 1), argument(call, 2), argument(call, 3), &answer->value,
                                        &answer->error);
    put_value(answer);
}

static void decide(const struct call *call, struct answer *answer) {
    answer->status = ehi_endpoint_decide(endpoint, argument(call, 1), argument(call, 2), argument(call, 3),
                                         argument(call, 4), integer(call, 5), &answer->value, &answer->error);
    put_value(answer);
}

static void look_up(const struct call *call, struct answer *answer) {
    answer->status = ehi_endpoint_look_up(endpoint, argument(call, 1), argument(call, 2), argument(call, 3),
                                          integer(call, 4), &answer->value, &answer->error);
    put_value(answer);
}

static void not_found(const struct call *call, struct answer *answer) {
    (void)call;
    answer->status = ehi_endpoint_not_found(endpoint, &answer->value, &answer->error);
    put_value(answer);
}

static void handle_request(const struct call *call, struct answer *answer) {
    answer->status = ehi_job_handle_request(endpoint, argument(call, 1), argument(call, 2), argument(call, 3),
                                            argument(call, 4), argument(call, 5), integer(call, 6), &answer->value,
                                            &answer->error);
    put_value(answer);
}

static void serve_file(const struct call *call, struct answer *answer) {
    answer->status =
        ehi_job_serve_file(argument(call, 1), argument(call, 2), argument(call, 3), &answer->value, &answer->error);
    put_value(answer);
}

static void handle_timeout(const struct call *call, struct answer *answer) {
    answer->status = ehi_job_handle_timeout(argument(call, 1), integer(call, 2), &answer->value, &answer->error);
    put_value(answer);
}

static void wants(const struct call *call, struct answer *answer) {
    answer->status =
        ehi_job_wants(argument(call, 1), argument(call, 2), integer(call, 3), &answer->value, &answer->error);
    put_value(answer);
}

static void apply(const struct call *call, struct answer *answer) {
    answer->status =
        ehi_job_apply(argument(call, 1), argument(call, 2), integer(call, 3), &answer->value, &answer->error);
    put_value(answer);
}

static void plan(const struct call *call, struct answer *answer) {
    answer->status = ehi_job_plan(argument(call, 1), &answer->value, &answer->error);
    put_value(answer);
}

static void manifest_head(const struct call *call, struct answer *answer) {
    answer->status = ehi_job_manifest_head(argument(call, 1), &answer->value, &answer->error);
    put_value(answer);
}

static void manifest_new(const struct call *call, struct answer *answer) {
    ehi_manifest_writer_free(manifest);
    manifest = NULL;
    answer->status = ehi_manifest_writer_new(argument(call, 1), &manifest, &answer->error);
}

static void manifest_row(const struct call *call, struct answer *answer) {
    ehi_view piece = NONE;
    answer->status = ehi_manifest_writer_row(manifest, argument(call, 1), &piece, &answer->error);
    put(answer, piece);
}

static void manifest_finish(const struct call *call, struct answer *answer) {
    (void)call;
    ehi_view piece = NONE;
    answer->status = ehi_manifest_writer_finish(manifest, &piece, &answer->error);
    put(answer, piece);
}

static void population_new(const struct call *call, struct answer *answer) {
    (void)call;
    ehi_population_builder_free(population);
    population = NULL;
    answer->status = ehi_population_builder_new(&population, &answer->error);
}

static void population_push(const struct call *call, struct answer *answer) {
    answer->status = ehi_population_builder_push(population, argument(call, 1), &answer->error);
}

static void population_push_new(const struct call *call, struct answer *answer) {
    answer->status = ehi_population_builder_push_new(population, argument(call, 1), &answer->error);
}

static void population_push_resource(const struct call *call, struct answer *answer) {
    bool is_new = argument(call, 3).data[0] == '1';
    answer->status = ehi_population_builder_push_resource(population, argument(call, 1), argument(call, 2), is_new,
                                                          &answer->error);
}

static void population_seal(const struct call *call, struct answer *answer) {
    (void)call;
    answer->status = ehi_population_builder_seal(population, &answer->bytes, &answer->error);
    put(answer, ehi_bytes_view(answer->bytes));
}

static void sets_wanted(const struct call *call, struct answer *answer) {
    answer->status = ehi_plan_sets(argument(call, 1), argument(call, 2), &answer->value, &answer->error);
    put_value(answer);
}

static void set_new(const struct call *call, struct answer *answer) {
    ehi_set_builder_free(set);
    set = NULL;
    size_t texts_max = (size_t)strtoull(argument(call, 2).data, NULL, 10);
    answer->status = ehi_set_builder_new(argument(call, 1), texts_max, &set, &answer->error);
}

static void set_push(const struct call *call, struct answer *answer) {
    answer->status = ehi_set_builder_push(set, argument(call, 1), &answer->error);
}

static void set_seal(const struct call *call, struct answer *answer) {
    (void)call;
    answer->status = ehi_set_builder_seal(set, &answer->bytes, &answer->error);
    put(answer, ehi_bytes_view(answer->bytes));
}

static void writer_new(const struct call *call, struct answer *answer) {
    ehi_writer_free(writer);
    writer = NULL;
    bool has_population = argument(call, 3).data[0] == '1';
    answer->status = ehi_writer_new(argument(call, 1), argument(call, 2), has_population ? argument(call, 4) : NONE,
                                    argument(call, 5), &writer, &answer->error);
}

static void writer_add_set(const struct call *call, struct answer *answer) {
    answer->status = ehi_writer_add_set(writer, argument(call, 1), argument(call, 2), &answer->error);
}

static void writer_write(const struct call *call, struct answer *answer) {
    size_t consumed = 0;
    bool drain_first = false;
    uint64_t offset = strtoull(argument(call, 4).data, NULL, 10);
    answer->status = ehi_writer_write_lines(writer, argument(call, 1), argument(call, 2), argument(call, 3), offset,
                                            &consumed, &drain_first, &answer->error);
    put_number(answer, consumed);
    put(answer, text(drain_first ? "1" : "0"));
}

static void writer_supersede(const struct call *call, struct answer *answer) {
    (void)call;
    answer->status = ehi_writer_supersede_next_line(writer, &answer->error);
}

static void writer_begin_block(const struct call *call, struct answer *answer) {
    answer->status = ehi_writer_begin_block(writer, argument(call, 1), &answer->error);
}

static void writer_finish(const struct call *call, struct answer *answer) {
    (void)call;
    answer->status = ehi_writer_finish(writer, &answer->error);
}

static void writer_poll(const struct call *call, struct answer *answer) {
    (void)call;
    ehi_output output = EHI_OUTPUT_NOTHING;
    uint32_t file = 0;
    ehi_view bytes = NONE, json = text("null");
    const ehi_value *event = NULL;
    static char append[48];
    answer->status = ehi_writer_poll_output(writer, &output, &file, &bytes, &event, &answer->error);
    if (event != NULL) {
        answer->status = ehi_value_json(event, NONE, &json, &answer->error);
    } else if (output == EHI_OUTPUT_APPEND) {
        snprintf(append, sizeof append, "{\"append\":{\"file\":%" PRIu32 "}}", file);
        json = text(append);
    } else if (output == EHI_OUTPUT_FOUND) {
        json = text("{\"found\":{}}");
    }
    put(answer, json);
    put(answer, bytes);
}

static void writer_counts(const struct call *call, struct answer *answer) {
    (void)call;
    uint64_t lines = 0, written = 0, passed_over = 0;
    answer->status = ehi_writer_counts(writer, &lines, &written, &passed_over, &answer->error);
    put_number(answer, lines);
    put_number(answer, written);
    put_number(answer, passed_over);
}

static const struct {
    const char *name;
    void (*make)(const struct call *, struct answer *);
} OPERATIONS[] = {
    {"endpoint_new", endpoint_new},
    {"route", route},
    {"decide", decide},
    {"look_up", look_up},
    {"not_found", not_found},
    {"handle_request", handle_request},
    {"serve_file", serve_file},
    {"handle_timeout", handle_timeout},
    {"wants", wants},
    {"apply", apply},
    {"plan", plan},
    {"manifest_head", manifest_head},
    {"manifest_new", manifest_new},
    {"manifest_row", manifest_row},
    {"manifest_finish", manifest_finish},
    {"population_new", population_new},
    {"population_push", population_push},
    {"population_push_new", population_push_new},
    {"population_push_resource", population_push_resource},
    {"population_seal", population_seal},
    {"sets_wanted", sets_wanted},
    {"set_new", set_new},
    {"set_push", set_push},
    {"set_seal", set_seal},
    {"writer_new", writer_new},
    {"writer_add_set", writer_add_set},
    {"writer_write", writer_write},
    {"writer_supersede", writer_supersede},
    {"writer_begin_block", writer_begin_block},
    {"writer_finish", writer_finish},
    {"writer_poll", writer_poll},
    {"writer_counts", writer_counts},
};

static void make(const struct call *call, struct answer *answer) {
    for (size_t i = 0; i < sizeof OPERATIONS / sizeof OPERATIONS[0]; i++) {
        if (strcmp(OPERATIONS[i].name, argument(call, 0).data) == 0) {
            OPERATIONS[i].make(call, answer);
            return;
        }
    }
    fail("no call has that name");
}

/* False at the end of the input, where a frame may end but not begin. */
static bool read_number(uint32_t *number, bool may_end) {
    unsigned char bytes[4];
    size_t length = fread(bytes, 1, sizeof bytes, stdin);
    if (length == 0 && may_end && feof(stdin)) {
        return false;
    }
    if (length != sizeof bytes) {
        fail("the input ends inside a frame");
    }
    *number = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return true;
}

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) {
        fail("out of memory");
    }
    return memory;
}

static bool read_call(struct call *call) {
    uint32_t count, length;
    if (!read_number(&count, true)) {
        return false;
    }
    call->count = count;
    call->parts = allocate(((size_t)count + 1) * sizeof call->parts[0]);
    for (size_t i = 0; i < call->count; i++) {
        read_number(&length, false);
        struct part *part = &call->parts[i];
        part->len = length;
        part->bytes = allocate((size_t)length + 1);
        part->bytes[length] = '\0';
        if (fread(part->bytes, 1, length, stdin) != length) {
            fail("the input ends inside a frame");
        }
    }
    return true;
}

static void free_call(struct call *call) {
    for (size_t i = 0; i < call->count; i++) {
        free(call->parts[i].bytes);
    }
    free(call->parts);
}

static void write_number(size_t number) {
    unsigned char bytes[4] = {number & 255, number >> 8 & 255, number >> 16 & 255, number >> 24 & 255};
    fwrite(bytes, 1, sizeof bytes, stdout);
}

static void write_part(ehi_view part) {
    write_number(part.len);
    fwrite(part.data, 1, part.len, stdout);
}

static void write_answer(const struct answer *answer) {
    if (answer->status == EHI_STATUS_OK) {
        write_number(1 + answer->count);
        write_part(text("ok"));
        for (size_t i = 0; i < answer->count; i++) {
            write_part(answer->outputs[i]);
        }
    } else {
        write_number(2);
        write_part(text("refused"));
        write_part(ehi_bytes_view(answer->error));
    }
    if (fflush(stdout) != 0) {
        fail("cannot write an answer");
    }
}

int main(void) {
    struct call call;
    while (read_call(&call)) {
        struct answer answer;
        memset(&answer, 0, sizeof answer);
        make(&call, &answer);
        write_answer(&answer);
        ehi_value_free(answer.value);
        ehi_bytes_free(answer.bytes);
        ehi_bytes_free(answer.error);
        free_call(&call);
    }
    ehi_endpoint_free(endpoint);
    ehi_manifest_writer_free(manifest);
    ehi_population_builder_free(population);
    ehi_set_builder_free(set);
    ehi_writer_free(writer);
    return 0;
}
