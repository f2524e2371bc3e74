/*
 * Eight threads share one endpoint and read one value; a writer is made by one thread, used by another and freed by a third.
 */
#include <ehi.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 8
#define ROUNDS 200

static ehi_endpoint *endpoint;
static ehi_value *plan;
static ehi_writer *writers[THREADS];

static ehi_view text(const char *string) {
    ehi_view view = {string, strlen(string)};
    return view;
}

static const ehi_view NONE = {NULL, 0};

static void check(ehi_status status) {
    if (status != EHI_STATUS_OK) {
        ehi_view meaning = ehi_status_text(status);
        fprintf(stderr, "threads: %.*s\n", (int)meaning.len, meaning.data);
        exit(1);
    }
}

/* Makes the plan of a system export that has begun. */
static void make_plan(void) {
    ehi_value *routed, *decided, *applied;
    ehi_view kick_off, record;
    ehi_view head = text("{\"method\":\"GET\",\"target\":\"/fhir/$export\",\"headers\":[]}");
    ehi_view begin = text("{\"begin\":{\"holder\":\"threads\",\"until\":\"2026-01-01T01:00:00Z\","
                          "\"transactionTime\":\"2026-01-01T00:00:00Z\",\"snapshot\":\"1\",\"partitions\":1}}");
    check(ehi_endpoint_new(text("{\"baseUrl\":\"https://ehr.example/fhir\",\"auth\":\"none\"}"), &endpoint, NULL));
    check(ehi_endpoint_route(endpoint, head, NONE, text("\"open\""), &routed, NULL));
    check(ehi_value_json(routed, text("/kickOff/kickOff"), &kick_off, NULL));
    check(ehi_endpoint_decide(endpoint, kick_off, text("\"open\""), text("{\"activeJobs\":0}"), text("sixteen random b"), 0,
                              &decided, NULL));
    check(ehi_value_text(decided, text("/accepted/job/record"), &record, NULL));
    check(ehi_job_apply(record, begin, 0, &applied, NULL));
    check(ehi_value_text(applied, text("/job/record"), &record, NULL));
    check(ehi_job_plan(record, &plan, NULL));
    ehi_value_free(routed);
    ehi_value_free(decided);
    ehi_value_free(applied);
}

static void *share(void *slot) {
    for (int round = 0; round < ROUNDS; round++) {
        ehi_value *response;
        int64_t status;
        check(ehi_endpoint_not_found(endpoint, &response, NULL));
        check(ehi_value_integer(response, text("/status"), &status, NULL));
        ehi_value_free(response);
        ehi_view request;
        check(ehi_value_text(plan, text("/request"), &request, NULL));
        if (status != 404 || request.len == 0) {
            exit(1);
        }
    }
    ehi_view json;
    check(ehi_value_json(plan, NONE, &json, NULL));
    check(ehi_writer_new(json, NONE, NONE, NONE, slot, NULL));
    return NULL;
}

static void *use(void *slot) {
    ehi_writer **writer = slot;
    ehi_view line = text("{\"resourceType\":\"Patient\",\"id\":\"1\"}\n");
    for (int round = 0; round < ROUNDS; round++) {
        size_t consumed;
        bool drain_first;
        check(ehi_writer_write_lines(*writer, line, text("lines"), NONE, (uint64_t)round * line.len, &consumed, &drain_first,
                                     NULL));
    }
    check(ehi_writer_finish(*writer, NULL));
    return NULL;
}

static void *release(void *slot) {
    ehi_writer **writer = slot;
    uint64_t lines, written, passed_over;
    check(ehi_writer_counts(*writer, &lines, &written, &passed_over, NULL));
    if (lines != ROUNDS || written != ROUNDS || passed_over != 0) {
        exit(1);
    }
    ehi_writer_free(*writer);
    return NULL;
}

/* Runs the body once for each writer, all at the same time. */
static void on_threads(void *(*body)(void *)) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, body, &writers[i]) != 0) {
            exit(1);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void) {
    make_plan();
    on_threads(share);
    on_threads(use);
    on_threads(release);
    ehi_value_free(plan);
    ehi_endpoint_free(endpoint);
    puts("passed");
    return 0;
}
