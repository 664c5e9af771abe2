// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI::detail {

/// What nlohmann's library says, without the bytes it quotes: a body may hold secrets.
inline Error json_error(const nlohmann::json::exception& error, const char* doing)
{
    std::string what = error.what();
    for (const char* quote : {"; last read", " parsing '"})
        if (const auto at = what.find(quote); at != std::string::npos) what.resize(at);
    return Error{ErrorKind::decode}.with_message(std::string(doing) + ": " + escape_untrusted(what));
}

/// nlohmann's library copies, compares and writes a value by recursion: what a server nests must not overflow the stack.
inline constexpr std::size_t max_json_depth = 512;

/// Makes a value of what nlohmann's parser reads, out of the value that it has read before: where both are of one shape, members
/// and elements stay where they are, and only what they hold is written over.
///
/// - Errors: those of the parser; a text that nests deeper than `max_depth`. The value is then any.
/// - Complexity: as the parser's own; no allocation where the value before had the memory. Holds no more than twice what the value
///   needs, whatever was read before.
class JsonReader {
public:
    using Json = nlohmann::json;

    explicit JsonReader(std::size_t max_depth = max_json_depth) noexcept : max_depth_(max_depth) {}

    /// Gives `value()`, or why there is none.
    [[nodiscard]] Error read(std::string_view text)
    {
        levels_.clear();
        come_.clear();
        error_ = Error{};
        (void)Json::sax_parse(text.data(), text.data() + text.size(), this);
        return std::move(error_);
    }
    [[nodiscard]] Json& value() noexcept { return root_; }

    /// \name What the parser calls
    /// @{
    bool null() { return put(nullptr); }
    bool boolean(bool value) { return put(value); }
    bool number_integer(Json::number_integer_t value) { return put(value); }
    bool number_unsigned(Json::number_unsigned_t value) { return put(value); }
    bool number_float(Json::number_float_t value, const std::string&) { return put(value); }
    bool string(std::string& text);
    bool binary(Json::binary_t& bytes) { return put(std::move(bytes)); }
    bool start_object(std::size_t);
    bool key(std::string& name);
    bool end_object();
    bool start_array(std::size_t);
    bool end_array();
    bool parse_error(std::size_t, const std::string&, const Json::exception& error)
    {
        error_ = json_error(error, "cannot decode JSON");
        return false;
    }
    /// @}

private:
    using Members = Json::object_t;

    /// An array or object that has begun.
    struct Level {
        Json* value = nullptr;
        Members* members = nullptr; ///< of an object
        std::size_t count = 0;      ///< how many elements of an array have come
        Members::iterator next{};   ///< while names come in order: those from here on have not come yet
        std::size_t first_come = 0; ///< afterwards: where in `come_` begin those that have
        bool was_empty = false;     ///< no member is from before
        bool in_order = true;
    };

    template <class T>
    bool put(T&& value)
    {
        place() = Json(std::forward<T>(value));
        return true;
    }
    /// Where the next value goes.
    Json& place();
    Json& find_out_of_order(Level& level, const std::string& name);
    void erase_what_has_not_come(const Level& level);
    bool begin(Level level);

    static bool wastes(std::size_t capacity, std::size_t size) noexcept { return capacity > 2 * size + 32; }

    std::size_t max_depth_;
    Json root_;
    std::vector<Level> levels_;
    std::vector<const Json*> come_; ///< the members, of objects whose names are out of order
    Json* member_ = nullptr;        ///< the one whose name has come
    Error error_;
};

inline nlohmann::json& JsonReader::place()
{
    if (levels_.empty()) return root_;
    Level& level = levels_.back();
    if (level.members != nullptr) return *member_;
    Json& array = *level.value;
    if (level.count == array.size()) array.push_back(nullptr);
    return array[level.count++];
}

inline bool JsonReader::string(std::string& text)
{
    Json& value = place();
    auto* const old = value.get_ptr<std::string*>();
    if (old == nullptr || wastes(old->capacity(), text.size())) {
        value = text;
    } else {
        old->clear();
        old->append(text); // which costs a third of assigning
    }
    return true;
}

inline bool JsonReader::begin(Level level)
{
    if (levels_.size() == max_depth_) {
        error_ = Error{ErrorKind::decode}.with_message("cannot decode JSON: the body nests too deep");
        return false;
    }
    levels_.push_back(level);
    return true;
}

inline bool JsonReader::start_object(std::size_t)
{
    Json& value = place();
    if (!value.is_object()) value = Json(Json::value_t::object);
    auto& members = value.get_ref<Members&>();
    return begin({.value = &value, .members = &members, .next = members.begin(), .was_empty = members.empty()});
}

inline bool JsonReader::key(std::string& name)
{
    Level& level = levels_.back();
    if (level.in_order && level.next != level.members->end() && level.next->first == name)
        member_ = &(level.next++)->second;
    else
        member_ = &find_out_of_order(level, name);
    return true;
}

inline nlohmann::json& JsonReader::find_out_of_order(Level& level, const std::string& name)
{
    if (level.in_order) {
        level.in_order = false;
        level.first_come = come_.size();
        for (auto member = level.members->begin(); member != level.next; ++member) come_.push_back(&member->second);
    }
#if JSON_DIAGNOSTICS
    Json& member = (*level.value)[name]; // which tells it whose it is
#else
    Json& member = level.members->try_emplace(name).first->second;
#endif
    if (!level.was_empty) come_.push_back(&member);
    return member;
}

inline void JsonReader::erase_what_has_not_come(const Level& level)
{
    const auto first = come_.begin() + static_cast<std::ptrdiff_t>(level.first_come);
    std::sort(first, come_.end(), std::less<>());
    come_.erase(std::unique(first, come_.end()), come_.end()); // a name may come twice
    if (come_.size() - level.first_come != level.members->size())
        std::erase_if(*level.members, [&](const auto& member) {
            return !std::binary_search(first, come_.end(), &member.second, std::less<>());
        });
    come_.resize(level.first_come);
}

inline bool JsonReader::end_object()
{
    const Level& level = levels_.back();
    if (level.in_order)
        level.members->erase(level.next, level.members->end());
    else if (!level.was_empty)
        erase_what_has_not_come(level);
    levels_.pop_back();
    return true;
}

inline bool JsonReader::start_array(std::size_t)
{
    Json& value = place();
    if (!value.is_array()) value = Json(Json::value_t::array);
    return begin({.value = &value});
}

inline bool JsonReader::end_array()
{
    Json& value = *levels_.back().value;
    auto& elements = value.get_ref<Json::array_t&>();
    elements.resize(levels_.back().count);
    if (wastes(elements.capacity(), elements.size())) {
        elements.shrink_to_fit();
        value = Json(std::move(value)); // which tells the elements whose they are, where nlohmann's library keeps that
    }
    levels_.pop_back();
    return true;
}

/// The reader that its thread has used last for a `T`, so that one answer after another of a kind costs no allocation. What the
/// last one said stays in it.
template <class T>
class LentJsonReader {
public:
    /// For a text of so many bytes. A `from_json` that decodes as well finds the reader gone, and gets a new one.
    explicit LentJsonReader(std::size_t bytes)
        : returns_(bytes <= 64 * 1024 && !Spare::gone), reader_(returns_ ? std::move(spare().reader) : nullptr)
    {
        if (!reader_) reader_ = std::make_unique<JsonReader>();
    }
    LentJsonReader(const LentJsonReader&) = delete;
    LentJsonReader& operator=(const LentJsonReader&) = delete;
    ~LentJsonReader()
    {
        if (returns_) spare().reader = std::move(reader_);
    }

    [[nodiscard]] JsonReader* operator->() const noexcept { return reader_.get(); }

private:
    struct Spare {
        Spare() = default;
        Spare(const Spare&) = delete;
        Spare& operator=(const Spare&) = delete;
        ~Spare() { gone = true; }

        std::unique_ptr<JsonReader> reader;
        inline static constinit thread_local bool gone = false; ///< the thread ends, and something still decodes
    };
    static Spare& spare() noexcept
    {
        static thread_local Spare spare;
        return spare;
    }

    bool returns_;
    std::unique_ptr<JsonReader> reader_;
};

} // namespace khive::inline KHIVE_ABI::detail
