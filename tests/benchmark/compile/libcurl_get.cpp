// SPDX-License-Identifier: BSL-1.0
//
// One HTTPS GET with libcurl, to be compiled, not run.

#include <curl/curl.h>

#include <cstddef>
#include <iostream>
#include <string>

std::size_t keep(char* bytes, std::size_t, std::size_t count, void* body)
{
    static_cast<std::string*>(body)->append(bytes, count);
    return count;
}

int main()
{
    std::string body;
    long status = 0;
    CURL* const curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, "https://example.com/");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    if (curl_easy_perform(curl) == CURLE_OK) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    std::cout << status << ' ' << body.size() << '\n';
}
