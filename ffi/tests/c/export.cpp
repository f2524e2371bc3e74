// Exports a file of FHIR resources: kick-off, files, manifest. The same as export.c, with destructors and exceptions.
//
//     export INPUT.ndjson FOLDER     writes the files of the export into the folder and prints the manifest
//
// The first part makes C++ of the C interface, and does for any program; the second is the export.
#include <ehi.h>

#include <array>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace ehi {

template <auto Free>
struct Deleter {
    template <typename T>
    void operator()(T *owned) const { Free(owned); }
};

using Bytes = std::unique_ptr<ehi_bytes, Deleter<ehi_bytes_free>>;
using Endpoint = std::unique_ptr<ehi_endpoint, Deleter<ehi_endpoint_free>>;
using ManifestWriter = std::unique_ptr<ehi_manifest_writer, Deleter<ehi_manifest_writer_free>>;
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

template <typename... Parts>
std::string join(const Parts &...parts) {
    std::string joined;
    (joined.append(parts), ...);
    return joined;
}

// A job as it is stored. A server stores the new record, only over the version that it read, before it goes on.
class Job {
public:
    explicit Job(const ehi_endpoint *endpoint) {
        auto head = view(R"({"method":"GET","target":"/fhir/$export","headers":[["prefer","respond-async"]]})");
        auto principal = view(R"("open")");
        auto facts = view(R"({"activeJobs":0})"); // /kickOff/needs asked for it
        auto routed = ehi::make<ehi::Value>(ehi_endpoint_route, endpoint, head, ehi_view{}, principal);
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

using Files = std::map<std::uint32_t, File>;

// Does what the writer asks for, until it asks for nothing.
void drain(ehi_writer *writer, Files &files, Job &job, const std::string &folder) {
    for (;;) {
        ehi_output output;
        std::uint32_t number;
        ehi_view bytes;
        const ehi_value *event;
        ehi::call(ehi_writer_poll_output, writer, &output, &number, &bytes, &event);
        switch (output) {
        case EHI_OUTPUT_OPEN:
            files.try_emplace(number, event, folder);
            break;
        case EHI_OUTPUT_APPEND:
            files.at(number).append(ehi::text(bytes));
            break;
        case EHI_OUTPUT_CLOSE:
            files.at(number).close(event);
            job.apply(join("{\"publish\":{\"epoch\":", job.epoch(), ",\"partition\":0,\"rows\":[", files.at(number).row,
                           "],\"checkpoint\":", ehi::json(event, "/close/checkpoint"), "}}"));
            break;
        case EHI_OUTPUT_NOTHING:
            return;
        }
    }
}

Files run(Job &job, std::istream &input, const std::string &folder) {
    auto plan = ehi::make<ehi::Value>(ehi_job_plan, view(job.record()));
    auto writer = ehi::make<ehi::Writer>(ehi_writer_new, view(ehi::json(plan.get(), "")), std::uint32_t{0}, ehi_view{},
                                         ehi_view{}, ehi_view{});
    Files files;
    std::array<char, 1 << 16> buffer;
    std::uint64_t offset = 0;
    while (input.read(buffer.data(), buffer.size()), input.gcount() > 0) {
        std::string_view block(buffer.data(), static_cast<std::size_t>(input.gcount()));
        while (!block.empty()) {
            std::size_t consumed;
            bool drain_first; // or not: here it is always drained
            ehi::call(ehi_writer_write_lines, writer.get(), view(block), view("input"), ehi_view{}, offset, &consumed,
                      &drain_first);
            drain(writer.get(), files, job, folder);
            block.remove_prefix(consumed);
            offset += consumed;
        }
    }
    ehi::call(ehi_writer_finish, writer.get());
    drain(writer.get(), files, job, folder);
    job.apply(join("{\"finishPartition\":{\"epoch\":", job.epoch(), ",\"partition\":0}}"));
    return files;
}

void print_manifest(const Job &job, const Files &files) {
    auto head = ehi::make<ehi::Value>(ehi_job_manifest_head, view(job.record()));
    auto manifest = ehi::make<ehi::ManifestWriter>(ehi_manifest_writer_new, view(ehi::json(head.get(), "")));
    ehi_view piece;
    for (bool errors : {false, true}) {
        for (const auto &[number, file] : files) {
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
    if (argc != 3) {
        std::cerr << "usage: export INPUT.ndjson FOLDER\n";
        return 2;
    }
    std::ifstream input(argv[1], std::ios::binary);
    if (!input) {
        throw std::runtime_error("cannot open the input");
    }
    auto endpoint = ehi::make<ehi::Endpoint>(ehi_endpoint_new,
                                             view(R"({"baseUrl":"https://ehr.example/fhir","auth":"none"})"));
    Job job(endpoint.get());
    job.apply(R"({"begin":{"holder":"example","until":"2026-01-01T01:00:00Z",)"
              R"("transactionTime":"2026-01-01T00:00:00Z","snapshot":"1","partitions":1}})");
    Files files = run(job, input, argv[2]);
    print_manifest(job, files);
    return 0;
} catch (const std::exception &failure) {
    std::cerr << "export: " << failure.what() << '\n';
    return 1;
}
