// Exports a file of FHIR resources: kick-off, files, manifest. The same as export.c, with destructors and exceptions.
//
//     export INPUT.ndjson FOLDER [PATIENT...]
//
// writes the files of the export into the folder and prints the manifest. Without ids of patients it exports everything,
// else a group of which these are the members.
//
// The first part makes C++ of the C interface, and does for any program; the second is the export.
#include <ehi.h>

#include <array>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ehi {

template <auto Free>
struct Deleter {
    template <typename T>
    void operator()(T *owned) const { Free(owned); }
};

using Bytes = std::unique_ptr<ehi_bytes, Deleter<ehi_bytes_free>>;
using Endpoint = std::unique_ptr<ehi_endpoint, Deleter<ehi_endpoint_free>>;
using ManifestWriter = std::unique_ptr<ehi_manifest_writer, Deleter<ehi_manifest_writer_free>>;
using PopulationBuilder = std::unique_ptr<ehi_population_builder, Deleter<ehi_population_builder_free>>;
using SetBuilder = std::unique_ptr<ehi_set_builder, Deleter<ehi_set_builder_free>>;
using Value = std::unique_ptr<ehi_value, Deleter<ehi_value_free>>;
using Writer = std::unique_ptr<ehi_writer, Deleter<ehi_writer_free>>;

ehi_view view(std::string_view text) { return {text.data(), text.size()}; }

std::string_view text(ehi_view view) { return {view.data, view.len}; }

struct Failure : std::runtime_error {
    Failure(ehi_status status, const Bytes &error)
        : std::runtime_error(std::string(text(ehi_bytes_view(error.get())))), status(status) {}
    ehi_status status;
};

// A call whose outputs are written through pointers.
template <typename Function, typename... Arguments>
void call(Function function, Arguments... arguments) {
    ehi_bytes *error = nullptr;
    if (ehi_status status = function(arguments..., &error); status != EHI_STATUS_OK) {
        throw Failure(status, Bytes(error));
    }
}

// A call that makes one thing, which is then owned.
template <typename Owned, typename Function, typename... Arguments>
Owned make(Function function, Arguments... arguments) {
    typename Owned::pointer made = nullptr;
    call(function, arguments..., &made);
    return Owned(made);
}

// A part of a value as JSON, as long as the value lives.
std::string_view json(const ehi_value *value, std::string_view pointer) {
    ehi_view found;
    call(ehi_value_json, value, view(pointer), &found);
    return text(found);
}

bool has(const ehi_value *value, std::string_view pointer) {
    ehi_view found;
    return ehi_value_json(value, view(pointer), &found, nullptr) == EHI_STATUS_OK;
}

// A string in a value.
std::string_view string(const ehi_value *value, std::string_view pointer) {
    ehi_view decoded;
    call(ehi_value_text, value, view(pointer), &decoded);
    return text(decoded);
}

} // namespace ehi

namespace {

using ehi::view;

// Fixed, so that the example prints the same each time; a server has a clock and a source of randomness.
constexpr std::int64_t now = 1767225600000; // milliseconds: 2026-01-01T00:00:00Z
constexpr std::string_view entropy = "sixteen random b";

constexpr std::string_view holder = "example"; // who works on the job
constexpr std::size_t set_texts_max = 10000000; // bounds memory

template <typename... Parts>
std::string join(const Parts &...parts) {
    std::string joined;
    (joined.append(parts), ...);
    return joined;
}

// A job as it is stored. A server stores the new record, only over the version that it read, before it goes on.
class Job {
public:
    Job(const ehi_endpoint *endpoint, std::string_view target) {
        auto head = join(R"({"method":"GET","target":")", target, R"(","headers":[["prefer","respond-async"]]})");
        auto principal = view(R"("open")");
        auto facts = view(R"({"activeJobs":0,"groups":["g"]})"); // /kickOff/needs asked for them
        auto routed = ehi::make<ehi::Value>(ehi_endpoint_route, endpoint, view(head), ehi_view{}, principal);
        auto kick_off = view(ehi::json(routed.get(), "/kickOff/kickOff"));
        auto decided =
            ehi::make<ehi::Value>(ehi_endpoint_decide, endpoint, kick_off, principal, facts, view(entropy), now);
        record_ = ehi::string(decided.get(), "/accepted/job/record");
    }

    void apply(const std::string &command) {
        auto applied = ehi::make<ehi::Value>(ehi_job_apply, view(record_), view(command), now);
        record_ = ehi::string(applied.get(), "/job/record");
        epoch_ = ehi::json(applied.get(), "/epoch");
    }

    const std::string &record() const { return record_; }
    const std::string &epoch() const { return epoch_; }

private:
    std::string record_;
    std::string epoch_;
};

// A file of the export. The parts of its row are JSON already, so they are put together as they are.
class File {
public:
    File(const ehi_value *event, const std::string &folder)
        : is_error(ehi::string(event, "/open/section") == "error"),
          stream_(join(folder, "/", ehi::string(event, "/open/name")), std::ios::binary) {
        if (!stream_) {
            throw std::runtime_error("cannot create a file in the folder");
        }
        stream_.exceptions(std::ios::failbit | std::ios::badbit);
        auto name = ehi::json(event, "/open/name");
        row = join("{\"section\":", ehi::json(event, "/open/section"), ",\"type\":", ehi::json(event, "/open/type"),
                   ",\"name\":", name, ",\"key\":", name);
    }

    void append(std::string_view bytes) { stream_.write(bytes.data(), static_cast<std::streamsize>(bytes.size())); }

    void close(const ehi_value *event) {
        stream_.close();
        row += join(",\"count\":", ehi::json(event, "/close/count"), ",\"bytes\":", ehi::json(event, "/close/bytes"),
                    ",\"sha256\":", ehi::json(event, "/close/sha256"), "}");
    }

    bool is_error;
    std::string row;

private:
    std::ofstream stream_;
};

using Files = std::deque<File>;

// Whose data a group export holds. The block may be stored; every writer of the job gets the same.
ehi::Bytes make_population(const std::vector<std::string> &patients) {
    auto builder = ehi::make<ehi::PopulationBuilder>(ehi_population_builder_new);
    for (const auto &id : patients) {
        ehi::call(ehi_population_builder_push, builder.get(), view(id));
    }
    return ehi::make<ehi::Bytes>(ehi_population_builder_seal, builder.get());
}

// The work on a job: blocks of lines in, files out.
class Work {
public:
    Work(Job &job, ehi_view population, std::istream &input, std::string folder)
        : job_(job), population_(population), input_(input), folder_(std::move(folder)),
          plan_(ehi::make<ehi::Value>(ehi_job_plan, view(job.record()))) {}

    // Once for each partition that the job lists. An export of a group takes more than the main pass, so the list is asked
    // for and never assumed.
    void run() {
        for (;;) {
            auto wants = ehi::make<ehi::Value>(ehi_job_wants, view(job_.record()), view(holder), now);
            if (!ehi::has(wants.get(), "/run/partitions/0")) {
                return;
            }
            auto partition = ehi::json(wants.get(), "/run/partitions/0/partition");
            auto sets = make_sets(ehi::json(wants.get(), "/run/partitions/0/pass"));
            go_through(ehi::json(wants.get(), "/run/partitions/0"), sets, partition, nullptr);
            job_.apply(join("{\"finishPartition\":{\"epoch\":", job_.epoch(), ",\"partition\":", partition, "}}"));
        }
    }

    Files files;

private:
    struct Set {
        std::string wanted;
        ehi::Bytes block;
    };

    // What a pass must know before its first line. Each set is made by a pass of its own, with those before it.
    std::vector<Set> make_sets(std::string_view pass) {
        auto wanted = ehi::make<ehi::Value>(ehi_plan_sets, plan(), view(pass));
        std::vector<Set> sets;
        for (std::size_t i = 0; ehi::has(wanted.get(), join("/", std::to_string(i))); i++) {
            auto set = ehi::json(wanted.get(), join("/", std::to_string(i), "/0"));
            auto task = ehi::json(wanted.get(), join("/", std::to_string(i), "/1"));
            auto builder = ehi::make<ehi::SetBuilder>(ehi_set_builder_new, view(set), set_texts_max);
            // A set of vetoes has no task, and would be refused here: this program has none.
            go_through(task, sets, {}, builder.get());
            auto block = ehi::make<ehi::Bytes>(ehi_set_builder_seal, builder.get());
            sets.push_back({std::string(set), std::move(block)});
        }
        return sets;
    }

    // One pass over all lines: for a partition of the job, or for a set.
    void go_through(std::string_view task, const std::vector<Set> &sets, std::string_view partition,
                    ehi_set_builder *builder) {
        auto writer = ehi::make<ehi::Writer>(ehi_writer_new, plan(), view(task), population_, ehi_view{});
        for (const auto &[wanted, block] : sets) {
            ehi::call(ehi_writer_add_set, writer.get(), view(wanted), ehi_bytes_view(block.get()));
        }
        first_ = files.size();
        input_.clear();
        input_.seekg(0);
        std::array<char, 1 << 16> buffer;
        std::uint64_t offset = 0;
        while (input_.read(buffer.data(), buffer.size()), input_.gcount() > 0) {
            std::string_view block(buffer.data(), static_cast<std::size_t>(input_.gcount()));
            while (!block.empty()) {
                std::size_t consumed;
                bool drain_first; // or not: here it is always drained
                ehi::call(ehi_writer_write_lines, writer.get(), view(block), view("input"), ehi_view{}, offset, &consumed,
                          &drain_first);
                drain(writer.get(), partition, builder);
                block.remove_prefix(consumed);
                offset += consumed;
            }
        }
        ehi::call(ehi_writer_finish, writer.get());
        drain(writer.get(), partition, builder);
    }

    // Does what the writer asks for, until it asks for nothing. Only a collecting pass has a builder.
    void drain(ehi_writer *writer, std::string_view partition, ehi_set_builder *builder) {
        for (;;) {
            ehi_output output;
            std::uint32_t number;
            ehi_view bytes;
            const ehi_value *event;
            ehi::call(ehi_writer_poll_output, writer, &output, &number, &bytes, &event);
            switch (output) {
            case EHI_OUTPUT_NOTHING:
                return;
            case EHI_OUTPUT_OPEN:
                files.emplace_back(event, folder_);
                break;
            case EHI_OUTPUT_APPEND:
                files.at(first_ + number).append(ehi::text(bytes));
                break;
            case EHI_OUTPUT_CLOSE:
                close(files.at(first_ + number), event, partition);
                break;
            case EHI_OUTPUT_FOUND:
                ehi::call(ehi_set_builder_push, builder, bytes);
                break;
            default:
                throw std::runtime_error("an output that this program does not know");
            }
        }
    }

    void close(File &file, const ehi_value *event, std::string_view partition) {
        file.close(event);
        job_.apply(join("{\"publish\":{\"epoch\":", job_.epoch(), ",\"partition\":", partition, ",\"rows\":[", file.row,
                        "],\"checkpoint\":", ehi::json(event, "/close/checkpoint"), "}}"));
    }

    ehi_view plan() const { return view(ehi::json(plan_.get(), "")); }

    Job &job_;
    ehi_view population_;
    std::istream &input_;
    std::string folder_;
    ehi::Value plan_;
    std::size_t first_ = 0; // of the present writer's files, which it numbers from 0
};

void print_manifest(const Job &job, const Files &files) {
    auto head = ehi::make<ehi::Value>(ehi_job_manifest_head, view(job.record()));
    auto manifest = ehi::make<ehi::ManifestWriter>(ehi_manifest_writer_new, view(ehi::json(head.get(), "")));
    ehi_view piece;
    for (bool errors : {false, true}) {
        for (const auto &file : files) {
            if (file.is_error == errors) {
                ehi::call(ehi_manifest_writer_row, manifest.get(), view(file.row), &piece);
                std::cout << ehi::text(piece);
            }
        }
    }
    ehi::call(ehi_manifest_writer_finish, manifest.get(), &piece);
    std::cout << ehi::text(piece) << '\n';
}

} // namespace

int main(int argc, char **argv) try {
    if (argc < 3) {
        std::cerr << "usage: export INPUT.ndjson FOLDER [PATIENT...]\n";
        return 2;
    }
    std::ifstream input(argv[1], std::ios::binary);
    if (!input) {
        throw std::runtime_error("cannot open the input");
    }
    auto endpoint = ehi::make<ehi::Endpoint>(
        ehi_endpoint_new, view(R"({"baseUrl":"https://ehr.example/fhir","auth":"none","edition":"2.0"})"));
    std::vector<std::string> patients(argv + 3, argv + argc);
    auto population = patients.empty() ? nullptr : make_population(patients);
    Job job(endpoint.get(), population ? "/fhir/Group/g/$export" : "/fhir/$export");
    job.apply(join(R"({"begin":{"holder":")", holder, R"(","until":"2026-01-01T01:00:00Z",)",
                   R"("transactionTime":"2026-01-01T00:00:00Z","snapshot":"1","partitions":1}})"));
    Work work(job, population ? ehi_bytes_view(population.get()) : ehi_view{}, input, argv[2]);
    work.run();
    print_manifest(job, work.files);
    return 0;
} catch (const std::exception &failure) {
    std::cerr << "export: " << failure.what() << '\n';
    return 1;
}
