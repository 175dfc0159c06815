import { expect, test } from "vitest";
import { parseVolume, volumesOfUrl } from "./programVolumes.ts";

test.each<[string, string[]]>([
  ["http://h/x.img", []],
  ["http://h/x.img?volume=a:/x", []],
  ["http://h/x.img#", []],
  ["http://h/x.img#part&volumes=a:/x", []],
  ["http://h/x.img?v=1#part&volume=params%3A%2Ftmp&volume=b:/a+b:ro", ["params:/tmp", "b:/a+b:ro"]],
  ["http://h/x.img#volume=a:/x#volume=b:/y", ["a:/x#volume=b:/y"]],
  ["http://h/x.img#volume=%", ["%"]],
])("the volumes of %s", (url, volumes) => {
  expect(volumesOfUrl(url)).toEqual(volumes);
});

test.each(["", "a", "a:x", ":/x", "a:/", "a:/x:rw", "a:/x:ro:ro", "a:/./x", "a:/x/..", "a:/..:ro", "a:/x#y"])(
  "no volume: %s",
  (text) => {
    expect(parseVolume(text)).toBeNull();
  },
);
