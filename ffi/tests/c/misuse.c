/*
 * Uses every function wrongly, and asks that it says so by its status, writes no output and stays usable: NULL handles and
 * outputs, views that lie, values of the wrong shape, calls in the wrong order and after the end.
 */
#include <ehi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

static ehi_view text(const char *string) {
    ehi_view view = {string, strlen(string)};
    return view;
}

static const ehi_view NONE = {NULL, 0};
static const ehi_view LIE = {NULL, 5};

static void expect(int line, const char *call, ehi_status expected, ehi_status status) {
    if (status != expected) {
        fprintf(stderr, "misuse.c:%d: status %d, expected %d: %s\n", line, (int)status, (int)expected, call);
        failures++;
    }
}

static void expect_that(int line, const char *condition, bool holds) {
    if (!holds) {
        fprintf(stderr, "misuse.c:%d: not so: %s\n", line, condition);
        failures++;
    }
}

#define EXPECT(status, call) expect(__LINE__, #call, EHI_STATUS_##status, call)
#define EXPECT_THAT(condition) expect_that(__LINE__, #condition, condition)

/* Outputs that must stay as they are. */
static char somewhere;
#define UNTOUCHED ((void *)&somewhere)
static ehi_endpoint *endpoint_out = UNTOUCHED;
static ehi_value *value_out = UNTOUCHED;
static const ehi_value *event_out = UNTOUCHED;
static ehi_manifest_writer *manifest_out = UNTOUCHED;
static ehi_population_builder *builder_out = UNTOUCHED;
static ehi_set_builder *set_out = UNTOUCHED;
static ehi_writer *writer_out = UNTOUCHED;
static ehi_bytes *bytes_out = UNTOUCHED;
static ehi_view view_out = {UNTOUCHED, 77};
static ehi_output output_out = 77;
static uint32_t file_out = 77;
static int64_t integer_out = 77;
static uint64_t lines_out = 77, written_out = 77, passed_out = 77;
static size_t consumed_out = 77;
static bool drain_out = true;

static void expect_outputs_untouched(void) {
    EXPECT_THAT(endpoint_out == UNTOUCHED && value_out == UNTOUCHED && event_out == UNTOUCHED);
    EXPECT_THAT(manifest_out == UNTOUCHED && builder_out == UNTOUCHED && set_out == UNTOUCHED);
    EXPECT_THAT(writer_out == UNTOUCHED && bytes_out == UNTOUCHED && view_out.data == UNTOUCHED && view_out.len == 77);
    EXPECT_THAT(output_out == 77 && file_out == 77 && integer_out == 77);
    EXPECT_THAT(lines_out == 77 && written_out == 77 && passed_out == 77 && consumed_out == 77 && drain_out);
}

/* What the tests start from. */
static const char *CONFIG = "{\"baseUrl\":\"https://ehr.example/fhir\",\"auth\":\"none\"}";
static const char *HEAD = "{\"method\":\"GET\",\"target\":\"/fhir/$export?_type=Patient\",\"headers\":[]}";
static const char *OPEN = "\"open\"";
static const char *FACTS = "{\"activeJobs\":0}";
static const char *ENTROPY = "sixteen random b";
static const char *BEGIN = "{\"begin\":{\"holder\":\"a\",\"until\":\"2026-01-01T01:00:00Z\","
                           "\"transactionTime\":\"2026-01-01T00:00:00Z\",\"snapshot\":\"1\",\"partitions\":1}}";
static const char *ROW = "{\"section\":\"output\",\"type\":\"Patient\",\"name\":\"Patient-0001.ndjson\",\"key\":\"k\","
                         "\"count\":1,\"bytes\":36}";
static const char *ERROR_ROW = "{\"section\":\"error\",\"type\":\"OperationOutcome\",\"name\":\"error-0001.ndjson\","
                               "\"key\":\"k\",\"count\":1,\"bytes\":36}";
static ehi_endpoint *endpoint;
static ehi_value *routed, *decided, *begun, *queued_plan, *plan, *head;
static ehi_view kick_off, queued, running, plan_json, head_json;

static void set_up(void) {
    EXPECT(OK, ehi_endpoint_new(text(CONFIG), &endpoint, NULL));
    EXPECT(OK, ehi_endpoint_route(endpoint, text(HEAD), NONE, text(OPEN), &routed, NULL));
    EXPECT(OK, ehi_value_json(routed, text("/kickOff/kickOff"), &kick_off, NULL));
    EXPECT(OK, ehi_endpoint_decide(endpoint, kick_off, text(OPEN), text(FACTS), text(ENTROPY), 0, &decided, NULL));
    EXPECT(OK, ehi_value_text(decided, text("/accepted/job/record"), &queued, NULL));
    EXPECT(OK, ehi_job_apply(queued, text(BEGIN), 0, &begun, NULL));
    EXPECT(OK, ehi_value_text(begun, text("/job/record"), &running, NULL));
    EXPECT(OK, ehi_job_plan(queued, &queued_plan, NULL));
    EXPECT(OK, ehi_job_plan(running, &plan, NULL));
    EXPECT(OK, ehi_value_json(plan, NONE, &plan_json, NULL));
    EXPECT(OK, ehi_job_manifest_head(running, &head, NULL));
    EXPECT(OK, ehi_value_json(head, NONE, &head_json, NULL));
    if (failures > 0) {
        exit(1);
    }
}

static void tear_down(void) {
    ehi_endpoint_free(endpoint);
    ehi_value_free(routed);
    ehi_value_free(decided);
    ehi_value_free(begun);
    ehi_value_free(queued_plan);
    ehi_value_free(plan);
    ehi_value_free(head);
}

static void null_handles(void) {
    EXPECT(NULL_POINTER, ehi_endpoint_route(NULL, text(HEAD), NONE, text(OPEN), &value_out, NULL));
    EXPECT(NULL_POINTER,
           ehi_endpoint_decide(NULL, kick_off, text(OPEN), text(FACTS), text(ENTROPY), 0, &value_out, NULL));
    EXPECT(NULL_POINTER, ehi_endpoint_look_up(NULL, text("{}"), text(OPEN), text("{}"), 0, &value_out, NULL));
    EXPECT(NULL_POINTER, ehi_endpoint_not_found(NULL, &value_out, NULL));
    EXPECT(NULL_POINTER,
           ehi_job_handle_request(NULL, running, NONE, text(HEAD), NONE, text(OPEN), 0, &value_out, NULL));
    EXPECT(NULL_POINTER, ehi_manifest_writer_row(NULL, text(ROW), &view_out, NULL));
    EXPECT(NULL_POINTER, ehi_manifest_writer_finish(NULL, &view_out, NULL));
    EXPECT(NULL_POINTER, ehi_population_builder_push(NULL, text("a"), NULL));
    EXPECT(NULL_POINTER, ehi_population_builder_push_new(NULL, text("a"), NULL));
    EXPECT(NULL_POINTER, ehi_population_builder_push_resource(NULL, text("Device"), text("a"), false, NULL));
    EXPECT(NULL_POINTER, ehi_population_builder_seal(NULL, &bytes_out, NULL));
    EXPECT(NULL_POINTER, ehi_set_builder_push(NULL, text("Patient/a\n"), NULL));
    EXPECT(NULL_POINTER, ehi_set_builder_seal(NULL, &bytes_out, NULL));
    EXPECT(NULL_POINTER, ehi_digester_update(NULL, text("a"), NULL));
    EXPECT(NULL_POINTER, ehi_digester_finish(NULL, &view_out, NULL));
    EXPECT(NULL_POINTER, ehi_value_json(NULL, NONE, &view_out, NULL));
    EXPECT(NULL_POINTER, ehi_value_text(NULL, NONE, &view_out, NULL));
    EXPECT(NULL_POINTER, ehi_value_integer(NULL, NONE, &integer_out, NULL));
    EXPECT(NULL_POINTER,
           ehi_writer_write_lines(NULL, text("{}"), text("a"), NONE, 0, &consumed_out, &drain_out, NULL));
    EXPECT(NULL_POINTER, ehi_writer_add_set(NULL, text("\"vetoes\""), NONE, NULL));
    EXPECT(NULL_POINTER, ehi_writer_supersede_next_line(NULL, NULL));
    EXPECT(NULL_POINTER, ehi_writer_begin_block(NULL, text("1"), NULL));
    EXPECT(NULL_POINTER, ehi_writer_finish(NULL, NULL));
    EXPECT(NULL_POINTER, ehi_writer_poll_output(NULL, &output_out, &file_out, &view_out, &event_out, NULL));
    EXPECT(NULL_POINTER, ehi_writer_counts(NULL, &lines_out, &written_out, &passed_out, NULL));
    EXPECT_THAT(ehi_bytes_view(NULL).len == 0);

    ehi_bytes_free(NULL);
    ehi_digester_free(NULL);
    ehi_endpoint_free(NULL);
    ehi_manifest_writer_free(NULL);
    ehi_population_builder_free(NULL);
    ehi_set_builder_free(NULL);
    ehi_value_free(NULL);
    ehi_writer_free(NULL);
}

/* Outputs are checked before anything is done, so that nothing is done and then lost. */
static void null_outputs(void) {
    EXPECT(NULL_POINTER, ehi_endpoint_new(text(CONFIG), NULL, NULL));
    EXPECT(NULL_POINTER, ehi_endpoint_route(endpoint, text(HEAD), NONE, text(OPEN), NULL, NULL));
    EXPECT(NULL_POINTER, ehi_endpoint_decide(endpoint, kick_off, text(OPEN), text(FACTS), text(ENTROPY), 0, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_endpoint_look_up(endpoint, text("{}"), text(OPEN), text("{}"), 0, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_endpoint_not_found(endpoint, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_job_handle_request(endpoint, running, NONE, text(HEAD), NONE, text(OPEN), 0, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_job_serve_file(running, text(ROW), text(HEAD), NULL, NULL));
    EXPECT(NULL_POINTER, ehi_job_handle_timeout(running, 0, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_job_wants(running, text("a"), 0, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_job_apply(queued, text(BEGIN), 0, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_job_plan(running, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_job_manifest_head(running, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_value_json(plan, NONE, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_value_text(plan, NONE, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_value_integer(plan, NONE, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_manifest_writer_new(head_json, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_plan_sets(plan_json, text("\"main\""), NULL, NULL));
    EXPECT(NULL_POINTER, ehi_population_builder_new(NULL, NULL));
    EXPECT(NULL_POINTER, ehi_set_builder_new(text("\"vetoes\""), 1, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_digester_new(NULL, NULL));
    EXPECT(NULL_POINTER, ehi_writer_new(plan_json, NONE, NONE, NONE, NULL, NULL));

    ehi_writer *writer;
    EXPECT(OK, ehi_writer_new(plan_json, NONE, NONE, NONE, &writer, NULL));
    EXPECT(NULL_POINTER, ehi_writer_write_lines(writer, text("{}\n"), text("a"), NONE, 0, NULL, &drain_out, NULL));
    EXPECT(NULL_POINTER, ehi_writer_write_lines(writer, text("{}\n"), text("a"), NONE, 0, &consumed_out, NULL, NULL));
    EXPECT(OK, ehi_writer_finish(writer, NULL));
    EXPECT(NULL_POINTER, ehi_writer_poll_output(writer, NULL, &file_out, &view_out, &event_out, NULL));
    EXPECT(NULL_POINTER, ehi_writer_poll_output(writer, &output_out, NULL, &view_out, &event_out, NULL));
    EXPECT(NULL_POINTER, ehi_writer_poll_output(writer, &output_out, &file_out, NULL, &event_out, NULL));
    EXPECT(NULL_POINTER, ehi_writer_poll_output(writer, &output_out, &file_out, &view_out, NULL, NULL));
    EXPECT(NULL_POINTER, ehi_writer_counts(writer, NULL, &written_out, &passed_out, NULL));
    EXPECT(NULL_POINTER, ehi_writer_counts(writer, &lines_out, NULL, &passed_out, NULL));
    EXPECT(NULL_POINTER, ehi_writer_counts(writer, &lines_out, &written_out, NULL, NULL));
    uint64_t lines, written, passed_over;
    EXPECT(OK, ehi_writer_counts(writer, &lines, &written, &passed_over, NULL));
    EXPECT_THAT(lines == 0);
    ehi_writer_free(writer);
}

static void views_and_values(void) {
    ehi_view endless = {"x", SIZE_MAX};
    EXPECT(NULL_POINTER, ehi_endpoint_new(LIE, &endpoint_out, NULL));
    EXPECT(TOO_LARGE, ehi_endpoint_new(endless, &endpoint_out, NULL));
    EXPECT(NOT_UTF8, ehi_endpoint_new(text("\xff"), &endpoint_out, NULL));
    EXPECT(CONFIG, ehi_endpoint_new(NONE, &endpoint_out, NULL));
    EXPECT(CONFIG, ehi_endpoint_new(text("{\"baseUrl\":\"ehr.example\",\"auth\":\"none\"}"), &endpoint_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_endpoint_route(endpoint, text("{"), NONE, text(OPEN), &value_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_endpoint_route(endpoint, text(HEAD), NONE, text("\"root\""), &value_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_endpoint_route(endpoint, text(HEAD), NONE, NONE, &value_out, NULL));
    EXPECT(NULL_POINTER, ehi_endpoint_route(endpoint, text(HEAD), LIE, text(OPEN), &value_out, NULL));
    EXPECT(MALFORMED_VALUE,
           ehi_endpoint_decide(endpoint, kick_off, text(OPEN), text(FACTS), text("short"), 0, &value_out, NULL));
    EXPECT(MALFORMED_VALUE,
           ehi_endpoint_decide(endpoint, kick_off, text(OPEN), text("[]"), text(ENTROPY), 0, &value_out, NULL));
    EXPECT(MALFORMED_VALUE,
           ehi_endpoint_decide(endpoint, text("{}"), text(OPEN), text(FACTS), text(ENTROPY), 0, &value_out, NULL));
    EXPECT(MALFORMED_VALUE,
           ehi_job_handle_request(endpoint, running, text(""), text(HEAD), NONE, text(OPEN), 0, &value_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_job_serve_file(running, text("{}"), text(HEAD), &value_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_job_apply(running, text("\"begin\""), 0, &value_out, NULL));
    EXPECT(NOT_UTF8, ehi_job_wants(running, text("\xc3"), 0, &value_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_manifest_writer_new(text("{}"), &manifest_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_plan_sets(text("{}"), text("\"main\""), &value_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_plan_sets(plan_json, text("\"first\""), &value_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_set_builder_new(text("\"wishes\""), 1, &set_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_writer_new(text("{}"), NONE, NONE, NONE, &writer_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_writer_new(plan_json, text(""), NONE, NONE, &writer_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_writer_new(plan_json, text("{}"), NONE, NONE, &writer_out, NULL));
    EXPECT(MALFORMED_VALUE, ehi_writer_new(plan_json, NONE, NONE, text("{\"more\":1}"), &writer_out, NULL));

    EXPECT(ABSENT, ehi_value_json(plan, text("/nothing"), &view_out, NULL));
    EXPECT(ABSENT, ehi_value_text(plan, text("request"), &view_out, NULL));
    EXPECT(ABSENT, ehi_value_integer(plan, text("/nothing"), &integer_out, NULL));
    EXPECT(OTHER_TYPE, ehi_value_text(plan, text("/exportShared"), &view_out, NULL));
    EXPECT(OTHER_TYPE, ehi_value_integer(plan, text("/request"), &integer_out, NULL));
    EXPECT(NOT_UTF8, ehi_value_json(plan, text("\xff"), &view_out, NULL));
}

static void jobs(void) {
    const char *finish = "{\"finishPartition\":{\"epoch\":1,\"partition\":0}}";
    ehi_value *stored, *finished;
    ehi_view complete;

    EXPECT(UNREADABLE_RECORD, ehi_job_plan(NONE, &value_out, NULL));
    EXPECT(UNREADABLE_RECORD, ehi_job_manifest_head(text("{}"), &value_out, NULL));
    EXPECT(UNREADABLE_RECORD, ehi_job_serve_file(text("{}"), text(ROW), text(HEAD), &value_out, NULL));
    EXPECT(UNREADABLE_RECORD,
           ehi_job_handle_request(endpoint, text("{}"), NONE, text(HEAD), NONE, text(OPEN), 0, &value_out, NULL));
    EXPECT(RECORD_TOO_NEW, ehi_job_handle_timeout(text("{\"version\":999}"), 0, &value_out, NULL));
    EXPECT(RECORD_TOO_NEW, ehi_job_wants(text("{\"version\":999}"), text("a"), 0, &value_out, NULL));

    EXPECT(WRONG_STATE, ehi_job_apply(queued, text(finish), 0, &value_out, NULL));
    EXPECT(LEASED, ehi_job_apply(running, text("{\"begin\":{\"holder\":\"b\",\"until\":\"2026-01-01T01:00:00Z\","
                                               "\"transactionTime\":\"2026-01-01T00:00:00Z\",\"snapshot\":\"1\","
                                               "\"partitions\":1}}"), 0, &value_out, NULL));
    EXPECT(STALE, ehi_job_apply(running, text("{\"finishPartition\":{\"epoch\":0,\"partition\":0}}"), 0, &value_out, NULL));
    EXPECT(NO_SUCH_PARTITION,
           ehi_job_apply(running, text("{\"finishPartition\":{\"epoch\":1,\"partition\":7}}"), 0, &value_out, NULL));

    EXPECT(OK, ehi_job_apply(running, text(finish), 0, &finished, NULL));
    EXPECT(OK, ehi_value_text(finished, text("/job/record"), &complete, NULL));
    EXPECT(WRONG_STATE, ehi_job_apply(complete, text(finish), 0, &value_out, NULL));
    EXPECT(OK, ehi_job_handle_timeout(complete, 0, &stored, NULL));
    ehi_view json = NONE;
    EXPECT(OK, ehi_value_json(stored, NONE, &json, NULL));
    EXPECT_THAT(json.len == 4 && memcmp(json.data, "null", 4) == 0);
    ehi_value_free(stored);
    ehi_value_free(finished);
}

static void manifests(void) {
    ehi_manifest_writer *manifest;
    ehi_view piece;
    EXPECT(OK, ehi_manifest_writer_new(head_json, &manifest, NULL));
    EXPECT(MALFORMED_VALUE, ehi_manifest_writer_row(manifest, text("{}"), &view_out, NULL));
    EXPECT(NULL_POINTER, ehi_manifest_writer_row(manifest, text(ROW), NULL, NULL));
    EXPECT(OK, ehi_manifest_writer_row(manifest, text(ERROR_ROW), &piece, NULL));
    EXPECT(ROW_OUT_OF_ORDER, ehi_manifest_writer_row(manifest, text(ROW), &view_out, NULL));
    EXPECT(NULL_POINTER, ehi_manifest_writer_finish(manifest, NULL, NULL));
    EXPECT(OK, ehi_manifest_writer_finish(manifest, &piece, NULL));
    EXPECT_THAT(piece.len > 0);
    EXPECT(FINISHED, ehi_manifest_writer_row(manifest, text(ERROR_ROW), &view_out, NULL));
    EXPECT(FINISHED, ehi_manifest_writer_finish(manifest, &view_out, NULL));
    ehi_manifest_writer_free(manifest);
}

static void populations(void) {
    ehi_population_builder *builder;
    ehi_bytes *block;
    EXPECT(OK, ehi_population_builder_new(&builder, NULL));
    EXPECT(OK, ehi_population_builder_push(builder, text("a"), NULL));
    EXPECT(MALFORMED_ID, ehi_population_builder_push(builder, text("a/b"), NULL));
    EXPECT(MALFORMED_ID, ehi_population_builder_push(builder, NONE, NULL));
    EXPECT(NOT_UTF8, ehi_population_builder_push(builder, text("\xff"), NULL));
    EXPECT(OK, ehi_population_builder_push_new(builder, text("b"), NULL));
    EXPECT(MALFORMED_ID, ehi_population_builder_push_new(builder, text("a/b"), NULL));
    EXPECT(NOT_UTF8, ehi_population_builder_push_new(builder, text("\xff"), NULL));
    EXPECT(NULL_POINTER, ehi_population_builder_push_new(builder, LIE, NULL));
    EXPECT(OK, ehi_population_builder_push_resource(builder, text("Device"), text("a"), true, NULL));
    EXPECT(MALFORMED_MEMBER, ehi_population_builder_push_resource(builder, text("Device"), text("a/b"), false, NULL));
    EXPECT(MALFORMED_MEMBER, ehi_population_builder_push_resource(builder, text("Patient"), text("a"), false, NULL));
    EXPECT(MALFORMED_MEMBER, ehi_population_builder_push_resource(builder, text("Device/"), text("a"), false, NULL));
    EXPECT(MALFORMED_MEMBER, ehi_population_builder_push_resource(builder, NONE, NONE, true, NULL));
    EXPECT(NOT_UTF8, ehi_population_builder_push_resource(builder, text("\xff"), text("a"), false, NULL));
    EXPECT(NULL_POINTER, ehi_population_builder_push_resource(builder, text("Device"), LIE, false, NULL));
    EXPECT(NULL_POINTER, ehi_population_builder_seal(builder, NULL, NULL));
    EXPECT(OK, ehi_population_builder_seal(builder, &block, NULL));
    EXPECT(FINISHED, ehi_population_builder_push(builder, text("b"), NULL));
    EXPECT(FINISHED, ehi_population_builder_push_new(builder, text("b"), NULL));
    EXPECT(FINISHED, ehi_population_builder_push_resource(builder, text("Device"), text("b"), false, NULL));
    EXPECT(FINISHED, ehi_population_builder_seal(builder, &bytes_out, NULL));

    ehi_view damaged = ehi_bytes_view(block);
    EXPECT(POPULATION_MISMATCH, ehi_writer_new(plan_json, NONE, damaged, NONE, &writer_out, NULL));
    damaged.len -= 1;
    EXPECT(MALFORMED_POPULATION, ehi_writer_new(plan_json, NONE, damaged, NONE, &writer_out, NULL));
    EXPECT(MALFORMED_POPULATION, ehi_writer_new(plan_json, NONE, text(""), NONE, &writer_out, NULL));
    EXPECT(NULL_POINTER, ehi_writer_new(plan_json, NONE, LIE, NONE, &writer_out, NULL));
    ehi_bytes_free(block);
    ehi_population_builder_free(builder);
}

/* A set that is damaged, unfinished or too large is none, and a writer takes no line without what its pass needs. */
static void sets(void) {
    ehi_view vetoes = text("\"vetoes\""), subjects = text("{\"collected\":\"subjects\"}");
    ehi_set_builder *builder;
    ehi_bytes *block;
    EXPECT(OK, ehi_set_builder_new(subjects, 2, &builder, NULL));
    EXPECT(NULL_POINTER, ehi_set_builder_push(builder, LIE, NULL));
    EXPECT(OK, ehi_set_builder_push(builder, text("Observation/a\nObser"), NULL));
    EXPECT(OK, ehi_set_builder_push(builder, text("vation/b\n"), NULL));
    EXPECT(NULL_POINTER, ehi_set_builder_seal(builder, NULL, NULL));
    EXPECT(OK, ehi_set_builder_seal(builder, &block, NULL));
    EXPECT(FINISHED, ehi_set_builder_push(builder, text("Observation/c\n"), NULL));
    EXPECT(FINISHED, ehi_set_builder_seal(builder, &bytes_out, NULL));
    ehi_set_builder_free(builder);

    EXPECT(OK, ehi_set_builder_new(vetoes, 1, &builder, NULL));
    EXPECT(SET, ehi_set_builder_push(builder, text("Patient/a\nPatient/b\n"), NULL));
    EXPECT(FINISHED, ehi_set_builder_seal(builder, &bytes_out, NULL));
    ehi_set_builder_free(builder);
    EXPECT(OK, ehi_set_builder_new(vetoes, 1, &builder, NULL));
    EXPECT(OK, ehi_set_builder_push(builder, text("Patient/a"), NULL));
    EXPECT(SET, ehi_set_builder_seal(builder, &bytes_out, NULL));
    EXPECT(FINISHED, ehi_set_builder_push(builder, text("\n"), NULL));
    ehi_set_builder_free(builder);

    /* Another question to the same engine: Provenance that a client asked for takes a pass of its own. */
    const char *target = "{\"method\":\"GET\",\"target\":\"/fhir/$export"
                         "?includeAssociatedData=RelevantProvenanceResources\",\"headers\":[]}";
    ehi_value *routed, *decided, *begun, *wants, *plan, *needed;
    ehi_view found = NONE, record = NONE, context = NONE, plan_of_passes = NONE;
    size_t consumed;
    bool drain_first;
    EXPECT(OK, ehi_endpoint_route(endpoint, text(target), NONE, text(OPEN), &routed, NULL));
    EXPECT(OK, ehi_value_json(routed, text("/kickOff/kickOff"), &found, NULL));
    EXPECT(OK, ehi_endpoint_decide(endpoint, found, text(OPEN), text(FACTS), text(ENTROPY), 0, &decided, NULL));
    EXPECT(OK, ehi_value_text(decided, text("/accepted/job/record"), &record, NULL));
    EXPECT(OK, ehi_job_apply(record, text(BEGIN), 0, &begun, NULL));
    EXPECT(OK, ehi_value_text(begun, text("/job/record"), &record, NULL));
    EXPECT(OK, ehi_job_plan(record, &plan, NULL));
    EXPECT(OK, ehi_value_json(plan, NONE, &plan_of_passes, NULL));

    /* Whoever runs the main pass alone has not finished the job. */
    ehi_value *half_done;
    EXPECT(OK, ehi_job_apply(record, text("{\"finishPartition\":{\"epoch\":1,\"partition\":0}}"), 0, &half_done, NULL));
    EXPECT(OK, ehi_value_text(half_done, text("/job/record"), &record, NULL));
    EXPECT(OK, ehi_value_json(half_done, text("/job/unfinished"), &found, NULL));
    EXPECT_THAT(found.len == 4 && memcmp(found.data, "true", 4) == 0);
    EXPECT(OK, ehi_job_wants(record, text("a"), 0, &wants, NULL));
    EXPECT(OK, ehi_value_json(wants, text("/run/partitions/0"), &context, NULL));
    EXPECT(OK, ehi_value_text(wants, text("/run/partitions/0/pass"), &found, NULL));
    EXPECT_THAT(found.len == 7 && memcmp(found.data, "context", 7) == 0);
    EXPECT(OK, ehi_plan_sets(plan_of_passes, text("\"context\""), &needed, NULL));
    EXPECT(OK, ehi_value_json(needed, text("/0/0"), &found, NULL));
    EXPECT_THAT(found.len == subjects.len && memcmp(found.data, subjects.data, found.len) == 0);
    EXPECT(ABSENT, ehi_value_json(needed, text("/1"), &view_out, NULL));

    ehi_writer *writer;
    ehi_view line = text("{\"resourceType\":\"Patient\",\"id\":\"1\"}\n"), damaged = ehi_bytes_view(block);
    damaged.len -= 1;
    EXPECT(OK, ehi_writer_new(plan_of_passes, context, NONE, NONE, &writer, NULL));
    EXPECT(MISSING_SET, ehi_writer_write_lines(writer, line, text("a"), NONE, 0, &consumed_out, &drain_out, NULL));
    EXPECT(UNWANTED_SET, ehi_writer_add_set(writer, vetoes, ehi_bytes_view(block), NULL));
    EXPECT(MALFORMED_VALUE, ehi_writer_add_set(writer, NONE, ehi_bytes_view(block), NULL));
    EXPECT(SET, ehi_writer_add_set(writer, subjects, damaged, NULL));
    EXPECT(SET, ehi_writer_add_set(writer, subjects, NONE, NULL));
    EXPECT(NULL_POINTER, ehi_writer_add_set(writer, subjects, LIE, NULL));
    EXPECT(MISSING_SET, ehi_writer_write_lines(writer, line, text("a"), NONE, 0, &consumed_out, &drain_out, NULL));
    EXPECT(OK, ehi_writer_add_set(writer, subjects, ehi_bytes_view(block), NULL));
    EXPECT(UNWANTED_SET, ehi_writer_add_set(writer, subjects, ehi_bytes_view(block), NULL));
    EXPECT(OK, ehi_writer_write_lines(writer, line, text("a"), NONE, 0, &consumed, &drain_first, NULL));
    EXPECT_THAT(consumed == line.len);
    ehi_writer_free(writer);

    ehi_bytes_free(block);
    ehi_value_free(needed);
    ehi_value_free(wants);
    ehi_value_free(half_done);
    ehi_value_free(plan);
    ehi_value_free(begun);
    ehi_value_free(decided);
    ehi_value_free(routed);
}

static void digesters(void) {
    ehi_digester *digester;
    ehi_view digest = NONE;
    EXPECT(OK, ehi_digester_new(&digester, NULL));
    EXPECT(OK, ehi_digester_update(digester, text("abc"), NULL));
    EXPECT(NULL_POINTER, ehi_digester_update(digester, LIE, NULL));
    EXPECT(NULL_POINTER, ehi_digester_finish(digester, NULL, NULL));
    EXPECT(OK, ehi_digester_finish(digester, &digest, NULL));
    EXPECT_THAT(digest.len == 64 && memcmp(digest.data, "ba7816bf8f01cfea", 16) == 0);
    EXPECT(FINISHED, ehi_digester_update(digester, text("d"), NULL));
    EXPECT(FINISHED, ehi_digester_finish(digester, &view_out, NULL));
    ehi_digester_free(digester);
}

static void writers(void) {
    ehi_writer *writer;
    size_t consumed;
    bool drain_first;
    ehi_view queued_json, half = text("{\"resourceType\":\"Patient\",");
    const char *resume = "{\"partition\":0,\"pass\":\"main\",\"checkpoint\":{\"resume\":{\"at\":{\"cursor\":\"00\","
                         "\"offset\":5,\"source\":\"a\",\"line\":2}},\"kinds\":[]}}";

    EXPECT(OK, ehi_value_json(queued_plan, NONE, &queued_json, NULL));
    EXPECT(NOT_BEGUN, ehi_writer_new(queued_json, NONE, NONE, NONE, &writer_out, NULL));
    EXPECT(LIMITS, ehi_writer_new(plan_json, NONE, NONE, text("{\"lineBytesMax\":0}"), &writer_out, NULL));

    EXPECT(OK, ehi_writer_new(plan_json, text(resume), NONE, NONE, &writer, NULL));
    EXPECT(WRONG_PLACE, ehi_writer_write_lines(writer, half, text("a"), NONE, 0, &consumed_out, &drain_out, NULL));
    ehi_writer_free(writer);

    EXPECT(OK, ehi_writer_new(plan_json, NONE, NONE, NONE, &writer, NULL));
    EXPECT(NULL_POINTER, ehi_writer_write_lines(writer, LIE, text("a"), NONE, 0, &consumed_out, &drain_out, NULL));
    EXPECT(NULL_POINTER, ehi_writer_write_lines(writer, half, text("a"), LIE, 0, &consumed_out, &drain_out, NULL));
    EXPECT(NOT_UTF8, ehi_writer_write_lines(writer, half, text("\xff"), NONE, 0, &consumed_out, &drain_out, NULL));
    EXPECT(OK, ehi_writer_write_lines(writer, half, text("a"), NONE, 0, &consumed, &drain_first, NULL));
    EXPECT(INSIDE_LINE, ehi_writer_supersede_next_line(writer, NULL));
    EXPECT(OK, ehi_writer_finish(writer, NULL));
    EXPECT(OK, ehi_writer_finish(writer, NULL));
    EXPECT(FINISHED, ehi_writer_write_lines(writer, half, text("a"), NONE, 0, &consumed_out, &drain_out, NULL));
    ehi_writer_free(writer);
}

/* The text of an error says what is wrong and repeats nothing of the input. */
static void errors(void) {
    ehi_bytes *error = UNTOUCHED;
    ehi_value *response;
    EXPECT(OK, ehi_endpoint_not_found(endpoint, &response, &error));
    EXPECT_THAT(error == UNTOUCHED);
    ehi_value_free(response);

    EXPECT(MALFORMED_VALUE, ehi_job_serve_file(running, text("{\"name\":\"Strange\"}"), text(HEAD), &value_out, &error));
    EXPECT_THAT(error != UNTOUCHED && error != NULL);
    ehi_view problem = ehi_bytes_view(error);
    const char *expected = "`row` lacks a member, or has one that is unknown or of the wrong type: line 1, column 18";
    EXPECT_THAT(problem.len == strlen(expected) && memcmp(problem.data, expected, problem.len) == 0);
    ehi_bytes_free(error);

    EXPECT_THAT(ehi_status_text(EHI_STATUS_PANIC).len > 0);
    EXPECT_THAT(ehi_status_text(INT32_MIN).data == ehi_status_text(12345).data);
    EXPECT_THAT(ehi_status_text(EHI_STATUS_STALE).data != ehi_status_text(12345).data);
}

int main(void) {
    set_up();
    null_handles();
    null_outputs();
    views_and_values();
    jobs();
    manifests();
    populations();
    sets();
    digesters();
    writers();
    errors();
    expect_outputs_untouched();
    tear_down();
    if (failures == 0) {
        puts("passed");
    }
    return failures == 0 ? 0 : 1;
}
