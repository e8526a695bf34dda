// What a model file says of its tokenizers.
#pragma once

#include "tasks/model_files/fields.hpp"
#include "tasks/text/tokenizer.hpp"

namespace rapt::tasks {

inline constexpr Name<TokenKind> token_kinds[] = {{TokenKind::words, "words"},
                                                  {TokenKind::characters, "characters"},
                                                  {TokenKind::sentencepiece, "sentencepiece"}};

/// The kind of the tokens, and whether text is converted to lower case.
struct TokenFields {
  TokenKind kind = TokenKind::words;
  bool lower = false;
};

template <class Visitor>
void fields(Visitor& v, TokenFields& o) {
  v.choice("tokens", o.kind, token_kinds, "words, characters or sentencepiece");
  v.flag("lower", o.lower, "converts text to lower case");
}

}  // namespace rapt::tasks
