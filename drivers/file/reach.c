/* SPDX-License-Identifier: MPL-2.0 */
/* The address is looked at when the socket is made for it: after the name was resolved, and for
 * each redirect anew, so that no second answer of the resolver comes between. */
#include "drivers/file/reach.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { ENTRY_MAX = 512 };

static const struct value *allowed; /* imageHosts; NULL: none */

int reach_start(const struct value *settings, struct error *err)
{
    const struct value *list = value_get(settings, "imageHosts");
    allowed = NULL;
    if (!list)
        return 0;
    bool is_list = value_is_list(list);
    for (size_t i = 0; is_list && i < list->count; i++)
        is_list = value_is_text(list->items[i]) && list->items[i]->text[0];
    if (!is_list)
        return error_set(err, ERR_INVALID, "settings.file.imageHosts is not a list of hosts");
    allowed = list;
    return 0;
}

/* ---- addresses ---------------------------------------------------------------------- */

static bool is_near_ipv4(uint32_t address)
{
    return address >> 24 == 0 || address >> 24 == 127 || address >> 16 == 0xa9fe;
}

static uint32_t ipv4_of(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Those that stand for an IPv4 address, too: mapped, compatible, by NAT64. The compatible ones
 * include ::1 and ::. */
static bool is_near_ipv6(const struct in6_addr *address)
{
    static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
    bool is_ipv4 = IN6_IS_ADDR_V4MAPPED(address) || memcmp(address, nat64, sizeof nat64) == 0 ||
                   memcmp(address, &in6addr_any, 12) == 0;
    return IN6_IS_ADDR_LINKLOCAL(address) ||
           (is_ipv4 && is_near_ipv4(ipv4_of(address->s6_addr + 12)));
}

/* What is neither IPv4 nor IPv6 is nobody's web server. */
static bool is_near(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return is_near_ipv4(
            ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
    return address->sa_family != AF_INET6 ||
           is_near_ipv6(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* ---- the allowance ------------------------------------------------------------------ */

static bool has_entry(const char *host, const char *port)
{
    char full[ENTRY_MAX];
    snprintf(full, sizeof full, "%s:%s", host, port);
    for (size_t i = 0; allowed && i < allowed->count; i++) {
        const char *entry = allowed->items[i]->text;
        if (strcasecmp(entry, host) == 0 || strcasecmp(entry, full) == 0)
            return true;
    }
    return false;
}

static bool is_address_allowed(const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN] = "", host[INET6_ADDRSTRLEN + 2], port[8];
    const struct sockaddr_in *four = (const void *)address;
    const struct sockaddr_in6 *six = (const void *)address;
    bool is_six = address->sa_family == AF_INET6;
    const void *bytes = is_six ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr;
    if ((!is_six && address->sa_family != AF_INET) ||
        !inet_ntop(address->sa_family, bytes, text, sizeof text))
        return false;
    snprintf(host, sizeof host, is_six ? "[%s]" : "%s", text);
    snprintf(port, sizeof port, "%u", ntohs(is_six ? six->sin6_port : four->sin_port));
    return has_entry(host, port);
}

/* The host that is asked now, which a redirect may have named. */
static bool is_host_allowed(CURL *curl)
{
    char *url = NULL, *host = NULL, *port = NULL;
    CURLU *parts = curl_url();
    bool is_allowed = parts && curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK &&
                      url &&
                      curl_url_set(parts, CURLUPART_URL, url, CURLU_GUESS_SCHEME) == CURLUE_OK &&
                      curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                      curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                      has_entry(host, port);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return is_allowed;
}

static curl_socket_t socket_make(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct reach *reach = context;
    (void)purpose;
    if (is_near(&to->addr) && !is_address_allowed(&to->addr) && !is_host_allowed(reach->curl)) {
        reach->has_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

CURLcode reach_guard(struct reach *reach)
{
    CURLcode code = curl_easy_setopt(reach->curl, CURLOPT_OPENSOCKETFUNCTION, socket_make);
    return code == CURLE_OK ? curl_easy_setopt(reach->curl, CURLOPT_OPENSOCKETDATA, reach) : code;
}
