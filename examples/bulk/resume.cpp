// SPDX-License-Identifier: BSL-1.0
#include "resume.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace bulk {
namespace {

using nlohmann::json;

/// False if the line is no result.
bool add_result(IdSet& finished, const std::string& line)
{
    try {
        const json result = json::parse(line);
        const auto key = key_of(result.at("id").dump(), result.at("line").get<std::uint64_t>());
        const auto error = result.find("error");
        if (error == result.end() || error->at("final").get<bool>()) finished.insert(key);
        return true;
    } catch (const json::exception&) {
        return false;
    }
}

void end_last_line(const std::string& path, bool whole, std::uintmax_t begin)
{
    if (whole)
        std::ofstream(path, std::ios::app | std::ios::binary).put('\n');
    else
        std::filesystem::resize_file(path, begin);
}

} // namespace

IdSet read_finished(const std::string& path)
{
    IdSet finished;
    std::ifstream file(path, std::ios::binary);
    std::uintmax_t begin = 0;
    std::string line;
    for (std::uint64_t number = 1; std::getline(file, line); ++number) {
        const bool good = add_result(finished, line);
        if (file.eof()) { // no line end
            end_last_line(path, good, begin);
            break;
        }
        if (!good) throw std::runtime_error(path + ": line " + std::to_string(number) + " is no result of an earlier run");
        begin += line.size() + 1;
    }
    return finished;
}

} // namespace bulk
