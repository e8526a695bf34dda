// Lists of captions and their pictures: the kinds that are read, and what is wrong with others,
// with file and line.
#include "tasks/captions/caption_data.hpp"

#include <filesystem>

#include "tasks/data/hash.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

std::vector<ListedImage> read(const std::string& path, ListOptions options = {}) {
  SkipReport skipped;
  return read_caption_list(path, options, skipped);
}

void refuse(const TemporaryFolder& work, const std::string& text, const std::string& place,
            const std::string& why) {
  const std::string path = work.write("bad.tsv", text);
  CHECK_THROWS_WITH(read(path), Contains(path + place) && Contains(why));
}

}  // namespace

TEST_CASE("lists of images and captions, with and without numbers") {
  const TemporaryFolder work;
  const auto two = read(work.write("2.tsv", "a.jpg\tA dog .\nb.jpg\tA cat\na.jpg\tdogs\n"));
  REQUIRE(two.size() == 2);
  CHECK(two[0].name == "a.jpg");
  REQUIRE(two[0].captions.size() == 2);
  CHECK(two[0].captions[0].text == "A dog .");
  CHECK(two[0].captions[1].text == "dogs");
  CHECK(two[0].captions[1].line == 3);
  CHECK(two[1].line == 2);
  const auto three = read(work.write("3.tsv", "a.jpg\t0\tA dog .\na.jpg\t1\tdogs\n"));
  REQUIRE(three.size() == 1);
  CHECK(three[0].captions[1].text == "dogs");
  CHECK(read(work.write("1.tsv", "a.jpg\nb.jpg\n"), {.captions = false}).size() == 2);
}

TEST_CASE("lists of Flickr8k and of COCO") {
  const TemporaryFolder work;
  const auto flickr =
      read(work.write("f.txt", "a.jpg#0\tA dog .\na.jpg#1\tdogs\nb#2\tA cat\nc.jpg#x\tA cow\n"));
  REQUIRE(flickr.size() == 3);
  CHECK(flickr[0].name == "a.jpg");
  CHECK(flickr[0].captions.size() == 2);
  CHECK(flickr[1].name == "b#2");
  CHECK(flickr[2].name == "c.jpg#x");

  const std::string images =
      "{\"images\": [{\"id\": 9, \"file_name\": \"b.jpg\"},\n{\"id\": 7, \"file_name\": \"a.jpg\"},"
      " {\"id\": 8, \"file_name\": \"none.jpg\"}]";
  const auto annotation = [](int image, const std::string& caption) {
    return "{\"image_id\": " + std::to_string(image) + ", \"id\": 1, \"caption\": \"" + caption +
           "\"}";
  };
  const std::string good =
      annotation(7, "A dog .\\n") + ", " + annotation(9, "A\\tcat") + ", " + annotation(7, "dogs");
  const auto coco = read(work.write("c.json", images + ", \"annotations\": [" + good + "]}"));
  REQUIRE(coco.size() == 2);
  CHECK(coco[0].name == "b.jpg");
  CHECK(coco[0].captions.at(0).text == "A cat");
  CHECK(coco[1].name == "a.jpg");
  CHECK(coco[1].captions.at(0).text == "A dog .");
  CHECK(coco[1].captions.at(1).text == "dogs");
  CHECK(coco[1].line == 1);

  refuse(work, images, "", "is damaged");
  refuse(work, images + "}", "", "without the array \"annotations\"");
  refuse(work, "{\"annotations\": []}", "", "without the array \"images\"");
  refuse(work, "{\"images\": [{\"id\": 1}], \"annotations\": []}", "", "image 1 has no");
  refuse(work, images + ", \"annotations\": []}", "", "holds no captions");
  const std::string bad = good + ", " + annotation(5, "a fish") + ", " + annotation(7, " ");
  refuse(work, images + ", \"annotations\": [" + bad + "]}", "",
         "annotation 4 has an \"image_id\"");
  SkipReport skipped;
  CHECK(read_caption_list(work.write("c.json", images + ", \"annotations\": [" + bad + "]}"),
                          {.skip_bad = true}, skipped)
            .size() == 2);
  CHECK(skipped.count() == 2);
}

TEST_CASE("lists with objects, and the object of each word") {
  const TemporaryFolder work;
  const auto list =
      read(work.write("4.tsv", "7\ta bag and a boot\t236,blue,4,1;8,red,32,35\t0 0 -1 1 1\n"));
  REQUIRE(list.size() == 1);
  const ListedCaption& caption = list[0].captions.at(0);
  REQUIRE(caption.objects.size() == 2);
  CHECK(caption.objects[1].y == 32);
  CHECK(caption.objects[1].x == 35);
  CHECK(caption.object_of_word == std::vector<std::int64_t>{0, 0, -1, 1, 1});
  // 28 pixels each way: 32 .. 59.
  CHECK(caption.objects[1].contains(59, 62));
  CHECK(caption.objects[1].contains(32, 35));
  CHECK_FALSE(caption.objects[1].contains(59.5, 40));
  CHECK_FALSE(caption.objects[1].contains(40, 34.5));
}

TEST_CASE("what is wrong with a list, and where") {
  const TemporaryFolder work;
  refuse(work, "", "", "holds no captions");
  refuse(work, "a\n", ":1", "1 columns, expected 2 to 4");
  refuse(work, "a\tb\tc\td\te\n", ":1", "5 columns");
  refuse(work, "a\t0\tb c\na\tb\n", ":2", "2 columns, where the list has 3");
  refuse(work, "a\tb\n\tb\n", ":2", "no image");
  refuse(work, "a\tb\na\t \n", ":2", "without words");
  refuse(work, "a\t0\tb\na\tx\tb\n", ":2", "'x'");
  refuse(work, "a\tb\na\t\xff\n", ":2", "UTF-8");
  refuse(work, "0\tone two\tt,red,1,2\t0\n", ":1", "2 words, but objects for 1");
  refuse(work, "0\tone\tt,red,1,2\t1\n", ":1", "a word's object is 1, there are 1");
  refuse(work, "0\tone\tt,red,1,2\t-2\n", ":1", "-2");
  refuse(work, "0\tone\tt,red,1,\t0\n", ":1", "an object's x is ''");
  refuse(work, "0\tone\tt\t0\n", ":1", "no y,x");
  CHECK_THROWS_WITH(read("/nowhere.tsv"), Contains("/nowhere.tsv"));

  // With skip_bad the rest is read, and the faults are counted.
  SkipReport skipped;
  const std::string path = work.write("some.tsv", "a\tb\nc\n\td\ne\t\xff\nf\tg\n");
  const auto list = read_caption_list(path, {.skip_bad = true}, skipped);
  REQUIRE(list.size() == 2);
  CHECK(list[1].name == "f");
  CHECK(skipped.count() == 3);
  CHECK_THAT(skipped.message(), Contains(path + ":2"));
}

TEST_CASE("pictures of a folder and of a tensor, resized") {
  const TemporaryFolder work;
  const Image red{8, 6, [] {
                    std::vector<std::uint8_t> p;
                    for (int i = 0; i < 48; ++i) p.insert(p.end(), {200, 0, 0});
                    return p;
                  }()};
  std::filesystem::create_directory(work.file("photos"));
  work.write("photos/a.png", png_of(red));
  work.write("photos/empty.png", "");
  work.write("photos/cut.png", png_of(red).substr(0, 50));
  work.write("photos/text.png", "no picture");

  SkipReport skipped;
  std::vector<ListedImage> list{{"a.png", 1, {}}, {"a.png", 2, {}}};
  const Pictures folder(work.file("photos"), 0, 0);
  const LoadedPictures loaded = load_pictures(folder, list, "list", {4, 5}, false, skipped);
  REQUIRE(loaded.images.size() == 2);
  CHECK(loaded.images[1].height == 4);
  CHECK(loaded.images[1].width == 5);
  CHECK(loaded.images[1].pixels[0] == 200);
  CHECK(loaded.sizes[0].height == 8);
  CHECK(loaded.sizes[0].width == 6);

  for (const std::string name : {"empty.png", "cut.png", "text.png", "missing.png"}) {
    std::vector<ListedImage> bad{{"a.png", 1, {}}, {name, 7, {}}};
    CHECK_THROWS_WITH(load_pictures(folder, bad, "list", {4, 5}, false, skipped),
                      Contains("list:7: ") && Contains(name));
    SkipReport counted;
    CHECK(load_pictures(folder, bad, "list", {4, 5}, true, counted).images.size() == 1);
    CHECK(bad.size() == 1);
    CHECK(counted.count() == 1);
    CHECK_THAT(counted.message(), Contains("list:7"));
  }
  std::vector<ListedImage> none{{"empty.png", 3, {}}};
  CHECK_THROWS_WITH(load_pictures(folder, none, "list", {4, 5}, true, skipped),
                    Contains("list: none of its pictures"));

  const std::string raw(red.pixels.begin(), red.pixels.end());
  const Pictures tensor(work.write("x.u8", raw + raw), 8, 6);
  CHECK(tensor.get("1").pixels == red.pixels);
  for (const char* name : {"2", "-1", "a", "", "1 "}) {
    CHECK_THROWS_WITH(tensor.get(name), Contains("x.u8: "));
  }
  CHECK_THROWS_WITH(Pictures(work.file("x.u8"), 7, 6), Contains("x.u8"));
  CHECK_THROWS_WITH(Pictures(work.file("nothing"), 8, 6), Contains("nothing: cannot open"));
}

TEST_CASE("a thousand damaged lists: an error or a list") {
  const TemporaryFolder work;
  std::string good;
  for (int i = 0; i < 12; ++i) {
    good += std::to_string(i) + "\ta red bag and a boot\t2,red,4,1;8,red,32,35\t0 0 0 -1 1 1\n";
  }
  int errors = 0, read_well = 0;
  for (std::uint64_t n = 0; n < 1000; ++n) {
    std::string bytes = good;
    for (std::uint64_t k = 0; k <= n % 3; ++k) {
      const auto at = static_cast<std::size_t>(below(bytes.size(), hash(n, k)));
      if (n % 2 == 0) {
        bytes[at] = static_cast<char>(hash(n, k + 9));
      } else {
        bytes.erase(at, 1 + n % 9);
      }
    }
    const std::string path = work.write("x.tsv", bytes);
    try {
      read(path);
      ++read_well;
    } catch (const TextError& error) {
      CHECK_THAT(error.what(), Contains("x.tsv"));
      ++errors;
    }
    SkipReport skipped;
    CHECK(read_caption_list(path, {.skip_bad = true}, skipped).size() > 5);
  }
  CHECK(errors > 300);
  CHECK(read_well > 50);
}
