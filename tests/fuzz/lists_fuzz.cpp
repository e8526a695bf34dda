// Reads lists of utterances and of captions.
#include "tasks/captions/caption_attention.hpp"
#include "tasks/captions/caption_data.hpp"
#include "tasks/speech/utterances.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace rapt;
using namespace rapt::tasks;

namespace rapt::fuzz {

std::vector<std::string> seeds() {
  return {"u1\tann\tone two\ta.wav b.wav\t30\nu2\tbob\tone\ta b.wav\t-\nu3\t\t\t/x/c.wav\t-\n",
          "{\"id\": \"u1\", \"audio_filepath\": \"a.wav\", \"text\": \"one\", \"duration\": 1.5}\n"
          "{\"wav\": \"b.wav\"}\n",
          "a.jpg\tA dog .\nb.jpg\tA cat\na.jpg\tdogs\n",
          "a.jpg#0\tA dog .\na.jpg#1\tdogs\n",
          "a.jpg\t0\tA dog .\na.jpg\t1\tdogs\n",
          "7\ta bag and a boot\t236,blue,4,1;8,red,32,35\t0 0 -1 1 1\n",
          "{\"images\": [{\"id\": 9, \"file_name\": \"b.jpg\"}, {\"id\": 7, \"file_name\": "
          "\"a.jpg\"}],\n"
          "\"annotations\": [{\"image_id\": 7, \"id\": 1, \"caption\": \"A dog\"},"
          " {\"image_id\": 9, \"id\": 2, \"caption\": \"A cat\"}]}\n",
          "a.jpg\tA\t3\t1.5 2.5\t0.5\n"};
}

}  // namespace rapt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  const std::string& path = file.set(fuzz::text_of(data, size));
  for (const bool skip : {false, true}) {
    try {
      SkipReport skipped;
      for (const Utterance& one :
           read_utterances(path, skip ? &skipped : nullptr, {.needs_words = skip})) {
        fuzz::require(!one.files.empty() && one.gaps.size() + 1 == one.files.size(), "no files");
        fuzz::require(!skip || !one.words.empty(), "no words");
      }
    } catch (const TextError&) {
    }
    try {
      SkipReport skipped;
      for (const ListedImage& one :
           read_caption_list(path, {.captions = !skip, .skip_bad = skip}, skipped)) {
        fuzz::require(!one.name.empty(), "no name");
        fuzz::require(skip || !one.captions.empty(), "no captions");
      }
    } catch (const TextError&) {
    }
  }
  return 0;
}
