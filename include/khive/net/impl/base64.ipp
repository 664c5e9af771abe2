// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/net/base64.hpp>

#include <openssl/evp.h>

namespace khive::inline KHIVE_ABI::net {

KHIVE_DECL std::string base64(std::string_view bytes)
{
    std::string encoded(4 * ((bytes.size() + 2) / 3) + 1, '\0'); // and the zero that OpenSSL appends
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                       reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    encoded.resize(static_cast<std::size_t>(length));
    return encoded;
}

} // namespace khive::inline KHIVE_ABI::net
