/* The header stands alone, may be included twice, and in more than one file of a program: this one is compiled as C and as
 * C++, and linked with itself. */
#include <ehi.h>
#include <ehi.h>

#ifdef __cplusplus
extern "C" bool says_its_version_in_cpp(void);
bool says_its_version_in_cpp(void) { return ehi_version().len > 0; }
#else
bool says_its_version_in_cpp(void);
int main(void) { return says_its_version_in_cpp() && ehi_version().len > 0 ? 0 : 1; }
#endif
