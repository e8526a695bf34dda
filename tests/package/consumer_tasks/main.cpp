// Translates a line with the model in a folder: consumer FOLDER LINE.
#include <cstdio>
#include <exception>
#include <rapt/tasks.hpp>

int main(int count, char** words) {
  try {
    const rapt::Translator translator(count > 1 ? words[1] : "model");
    std::printf("%s\n", translator.translate(count > 2 ? words[2] : "").c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
