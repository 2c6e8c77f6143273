// The stage: carries a story out on a real Resolver, step by step, and says what was otherwise than the story tells.
//
// Beside what a story says, this holds of every response: it has the query's ID, opcode and question in the client's
// very case, RA, an OPT record exactly where the query had one, DO as in the query, a full and good cookie exactly
// where the query had one, and it fits what the client can take. And after every step the conservation law.
#pragma once

#include <string>
#include <vector>

#include "scenario/story.h"

namespace doline::tests {

/// `file:line: what` for everything that went otherwise; the story ends at the first step that does. Empty: all is
/// told.
[[nodiscard]] std::vector<std::string> play(const Story& story);

}  // namespace doline::tests
