/*
 * The version that the header says, by value, is the one that cargo gave this program's compilation, and the one that the
 * library says.
 */
#include <ehi.h>

#include <stdio.h>
#include <string.h>

_Static_assert(EHI_VERSION_MAJOR == EXPECTED_MAJOR, "major");
_Static_assert(EHI_VERSION_MINOR == EXPECTED_MINOR, "minor");
_Static_assert(EHI_VERSION_PATCH == EXPECTED_PATCH, "patch");

int main(void) {
    char header[64];
    int length = snprintf(header, sizeof header, "%d.%d.%d", EHI_VERSION_MAJOR, EHI_VERSION_MINOR, EHI_VERSION_PATCH);
    ehi_view library = ehi_version();
    if ((size_t)length != library.len || memcmp(header, library.data, library.len) != 0) {
        fprintf(stderr, "the header is of %s, the library of %.*s\n", header, (int)library.len, library.data);
        return 1;
    }
    printf("%s\n", header);
    return 0;
}
