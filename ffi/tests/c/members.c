/*
 * A group's members, for a deployment that exports the older data too of those who came to it after `_since`: reads from the
 * job which those are, lists them, and prints what is exported.
 */
#include <ehi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where failing calls leave their text. */
static ehi_bytes *error = NULL;

static ehi_view text(const char *string) {
    ehi_view view = {string, strlen(string)};
    return view;
}

static const ehi_view NONE = {NULL, 0};

static void check(ehi_status status) {
    if (status != EHI_STATUS_OK) {
        ehi_view problem = ehi_bytes_view(error);
        fprintf(stderr, "members: %.*s (status %d)\n", (int)problem.len, problem.data, (int)status);
        exit(1);
    }
}

/* A part of a value as JSON, and a string in one. */
static ehi_view part(const ehi_value *value, const char *pointer) {
    ehi_view json;
    check(ehi_value_json(value, text(pointer), &json, &error));
    return json;
}

static ehi_view string(const ehi_value *value, const char *pointer) {
    ehi_view decoded;
    check(ehi_value_text(value, text(pointer), &decoded, &error));
    return decoded;
}

/* What a server knows of its group. */
static const struct membership {
    const char *type, *id, *day;
} MEMBERSHIPS[] = {
    {"Patient", "old", "2025-01-01"},
    {"Patient", "new", "2025-07-01"},
    {"Device", "old", "2025-01-01"},
    {"Device", "new", "2025-07-01"},
};

/* The block, of those whom the job that wants it makes new. */
static ehi_bytes *make_population(const ehi_value *wants) {
    ehi_view new_after = NONE;
    ehi_status told = ehi_value_text(wants, text("/run/newAfter"), &new_after, &error);
    if (told == EHI_STATUS_ABSENT) {
        ehi_bytes_free(error);
        printf("nobody is new\n");
    } else {
        check(told);
        printf("new after %.*s\n", (int)new_after.len, new_after.data);
    }
    ehi_population_builder *builder = NULL;
    check(ehi_population_builder_new(&builder, &error));
    for (size_t i = 0; i < sizeof MEMBERSHIPS / sizeof MEMBERSHIPS[0]; i++) {
        const struct membership *member = &MEMBERSHIPS[i];
        /* These memberships are known to the day. One that began on that very day may have begun after the instant. */
        bool is_new = told == EHI_STATUS_OK && strncmp(member->day, new_after.data, strlen(member->day)) >= 0;
        if (strcmp(member->type, "Patient") != 0) {
            check(ehi_population_builder_push_resource(builder, text(member->type), text(member->id), is_new, &error));
        } else if (is_new) {
            check(ehi_population_builder_push_new(builder, text(member->id), &error));
        } else {
            check(ehi_population_builder_push(builder, text(member->id), &error));
        }
    }
    ehi_bytes *block = NULL;
    check(ehi_population_builder_seal(builder, &block, &error));
    ehi_population_builder_free(builder);
    return block;
}

static void print_export(ehi_view plan, ehi_view population, ehi_view lines) {
    ehi_writer *writer = NULL;
    check(ehi_writer_new(plan, NONE, population, NONE, &writer, &error));
    size_t consumed = 0;
    bool drain_first = false;
    check(ehi_writer_write_lines(writer, lines, text("all"), NONE, 0, &consumed, &drain_first, &error));
    check(ehi_writer_finish(writer, &error));
    ehi_output output = EHI_OUTPUT_NOTHING;
    do {
        uint32_t file;
        ehi_view bytes;
        const ehi_value *event;
        check(ehi_writer_poll_output(writer, &output, &file, &bytes, &event, &error));
        if (output == EHI_OUTPUT_APPEND) {
            printf("%.*s", (int)bytes.len, bytes.data);
        }
    } while (output != EHI_OUTPUT_NOTHING);
    ehi_writer_free(writer);
}

static const char HEAD[] = "{\"method\":\"GET\",\"target\":\"/fhir/Group/g/$export?_since=2025-06-01T02:00:00%2B02:00"
                           "&_type=Patient,Observation,Device\",\"headers\":[]}";
static const char BEGIN[] = "{\"begin\":{\"holder\":\"a\",\"until\":\"2026-01-01T01:00:00Z\","
                            "\"transactionTime\":\"2026-01-01T00:00:00Z\",\"snapshot\":\"1\",\"partitions\":1}}";
#define OF_2024 "\"meta\":{\"lastUpdated\":\"2024-01-01T00:00:00Z\"}"
static const char LINES[] =
    "{\"resourceType\":\"Patient\",\"id\":\"old\"," OF_2024 "}\n"
    "{\"resourceType\":\"Patient\",\"id\":\"new\"," OF_2024 "}\n"
    "{\"resourceType\":\"Observation\",\"id\":\"1\",\"subject\":{\"reference\":\"Patient/old\"}," OF_2024 "}\n"
    "{\"resourceType\":\"Observation\",\"id\":\"2\",\"subject\":{\"reference\":\"Patient/new\"}," OF_2024 "}\n"
    "{\"resourceType\":\"Device\",\"id\":\"old\"," OF_2024 "}\n"
    "{\"resourceType\":\"Device\",\"id\":\"new\"," OF_2024 "}\n";

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: members like-others|whole\n");
        return 2;
    }
    char config[128];
    snprintf(config, sizeof config, "{\"baseUrl\":\"https://ehr.example/fhir\",\"auth\":\"none\",\"newMembers\":\"%.16s\"}",
             argv[1]);
    ehi_endpoint *endpoint = NULL;
    ehi_value *routed = NULL, *decided = NULL, *wants = NULL, *begun = NULL, *plan = NULL;
    check(ehi_endpoint_new(text(config), &endpoint, &error));
    check(ehi_endpoint_route(endpoint, text(HEAD), NONE, text("\"open\""), &routed, &error));
    check(ehi_endpoint_decide(endpoint, part(routed, "/kickOff/kickOff"), text("\"open\""),
                              text("{\"activeJobs\":0,\"groups\":[\"g\"]}"), text("0123456789abcdef"), 0, &decided, &error));
    ehi_view queued = string(decided, "/accepted/job/record");
    check(ehi_job_wants(queued, text("a"), 0, &wants, &error));
    ehi_bytes *population = make_population(wants);
    check(ehi_job_apply(queued, text(BEGIN), 0, &begun, &error));
    check(ehi_job_plan(string(begun, "/job/record"), &plan, &error));
    print_export(part(plan, ""), ehi_bytes_view(population), text(LINES));

    ehi_bytes_free(population);
    ehi_value_free(plan);
    ehi_value_free(begun);
    ehi_value_free(wants);
    ehi_value_free(decided);
    ehi_value_free(routed);
    ehi_endpoint_free(endpoint);
    return 0;
}
