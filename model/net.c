/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Addresses by value. inet_pton() is strict where it matters (no octal, no short
 * forms), and inet_ntop() writes RFC 5952; both only turn text into bytes.
 */
#include "model/net.h"
#include "model/invariant.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static int address_bytes(const struct address *address)
{
    return address->family == 4 ? 4 : 16;
}

int address_read(const char *text, struct address *address, struct error *err)
{
    struct address found = {.family = strchr(text, ':') ? 6 : 4};

    if (inet_pton(found.family == 4 ? AF_INET : AF_INET6, text, found.bytes) != 1)
        return error_set(err, ERR_INVALID,
                         "\"%.60s\" is not an address; write it as 10.0.1.5 or 2001:db8::5", text);
    *address = found;
    return 0;
}

static int length_read(const char *text, int most, int *length)
{
    int sum = 0;
    size_t len = strlen(text);

    if (len == 0 || len > 3 || strspn(text, "0123456789") != len || (len > 1 && *text == '0'))
        return -1;
    for (size_t i = 0; i < len; i++)
        sum = sum * 10 + (text[i] - '0');
    if (sum > most)
        return -1;
    *length = sum;
    return 0;
}

int prefix_read(const char *text, struct prefix *prefix, struct error *err)
{
    const char *slash = strchr(text, '/');
    char head[ADDRESS_MAX_TEXT];
    struct prefix found;

    if (!slash)
        return error_set(err, ERR_INVALID,
                         "\"%.60s\" is not a prefix; write address and length, as in 10.0.1.0/24",
                         text);
    if ((size_t)(slash - text) >= sizeof(head))
        return error_set(err, ERR_INVALID, "\"%.60s\" is not a prefix", text);
    memcpy(head, text, (size_t)(slash - text));
    head[slash - text] = '\0';
    if (address_read(head, &found.address, err) < 0)
        return (int)err->code;
    if (length_read(slash + 1, address_bytes(&found.address) * 8, &found.length) < 0)
        return error_set(err, ERR_INVALID, "\"%.60s\" has a length that is not 0 to %d", text,
                         address_bytes(&found.address) * 8);
    *prefix = found;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int mac_read(const char *text, struct mac *mac, struct error *err)
{
    struct mac found;

    if (strlen(text) != MAC_TEXT - 1)
        goto refuse;
    for (size_t i = 0; i < 6; i++) {
        int high = hex_digit(text[i * 3]);
        int low = hex_digit(text[i * 3 + 1]);
        char after = text[i * 3 + 2];

        if (high < 0 || low < 0 || (i < 5 && after != ':' && after != '-'))
            goto refuse;
        found.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *mac = found;
    return 0;
refuse:
    return error_set(err, ERR_INVALID, "\"%.40s\" is not a MAC; write it as 02:00:5e:10:00:01",
                     text);
}

const char *address_text(const struct address *address, char *buf)
{
    if (!inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->bytes, buf,
                   ADDRESS_MAX_TEXT))
        buf[0] = '\0';
    return buf;
}

const char *prefix_text(const struct prefix *prefix, char *buf)
{
    size_t len;

    address_text(&prefix->address, buf);
    len = strlen(buf);
    snprintf(buf + len, PREFIX_MAX_TEXT - len, "/%d", prefix->length);
    return buf;
}

const char *mac_text(const struct mac *mac, char *buf)
{
    const uint8_t *b = mac->bytes;

    snprintf(buf, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
    return buf;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, (size_t)address_bytes(a)) == 0;
}

struct prefix prefix_network(const struct prefix *prefix)
{
    struct prefix network = *prefix;

    invariant(prefix->length >= 0 && prefix->length <= address_bytes(&prefix->address) * 8,
              "a prefix of family %d is %d bits long", prefix->address.family, prefix->length);
    for (int i = 0; i < address_bytes(&network.address); i++) {
        int bits = prefix->length - i * 8;
        unsigned mask = bits >= 8 ? 0xFF : bits <= 0 ? 0 : (0xFFu << (8 - bits)) & 0xFF;

        network.address.bytes[i] = (uint8_t)(network.address.bytes[i] & mask);
    }
    return network;
}

bool prefix_has(const struct prefix *prefix, const struct address *address)
{
    struct prefix mine = prefix_network(prefix);
    struct prefix theirs = {.address = *address, .length = prefix->length};
    if (prefix->address.family != address->family)
        return false;
    theirs = prefix_network(&theirs);
    return address_equal(&mine.address, &theirs.address);
}

bool prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
    return a->length <= b->length ? prefix_has(a, &b->address) : prefix_has(b, &a->address);
}

int prefix_nth(const struct prefix *prefix, uint64_t n, struct address *out, struct error *err)
{
    struct prefix network = prefix_network(prefix);
    struct address found = network.address;
    uint64_t carry = n;

    for (int i = address_bytes(&found) - 1; i >= 0; i--) {
        uint64_t sum = found.bytes[i] + (carry & 0xFF);

        found.bytes[i] = (uint8_t)sum;
        carry = (carry >> 8) + (sum >> 8);
    }
    if (carry > 0 || !prefix_has(&network, &found)) {
        char text[PREFIX_MAX_TEXT];

        return error_set(err, ERR_INVALID, "prefix %s ends before its address number %llu",
                         prefix_text(&network, text), (unsigned long long)n);
    }
    *out = found;
    return 0;
}

int64_t prefix_hosts(const struct prefix *prefix)
{
    int bits = address_bytes(&prefix->address) * 8 - prefix->length;

    invariant(bits >= 0, "a prefix of family %d is %d bits long", prefix->address.family,
              prefix->length);
    int64_t taken = prefix->address.family == 4 ? 3 : 2; /* IPv6 has no broadcast address */

    if (bits >= 63)
        return INT64_MAX;
    return (INT64_C(1) << bits) > taken ? (INT64_C(1) << bits) - taken : 0;
}
