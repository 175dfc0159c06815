import { describe, expect, test } from "vitest";
import { deployedVolumes, mountsOfTask } from "./deployedVolumes.ts";

const mount = (label: string, path: string, isReadonly = false) => ({ label, path, readonly: isReadonly });

describe("what a Deploy names", () => {
  test.each([
    ["http://h/x.img", []],
    ["http://h/x.img#part", []],
    ["http://h/x.img#volume=params:/tmp", [mount("params", "/tmp")]],
    ["http://h/x.img#volume=a%3A%2Fa&volume=b:/b/c/:ro", [mount("a", "/a"), mount("b", "/b/c", true)]],
  ])("%s", (url, volumes) => {
    expect(deployedVolumes(url, "/workspace")).toEqual({ volumes, problem: null });
  });

  test.each([
    ["volume=%251:/x", /"%1:\/x" is no volume with its path/],
    ["volume=a:/x/../etc", /is no volume/],
    ["volume=../a:/x", /is no volume/],
    ["volume=a:/sys/x", /used by the system/],
    ["volume=a:/workspace/x", /the mount at \/workspace hide each other/],
    ["volume=a:/x&volume=b:/x/y", /hide each other/],
    ["volume=a:/x:ro&volume=a:/y:ro", /"a" is named twice/],
    [Array.from({ length: 17 }, (_, index) => `volume=a${index}:/a${index}`).join("&"), /16 are allowed/],
  ])("%s is refused", (fragment, problem) => {
    const expected = { volumes: [], problem: expect.stringMatching(problem) };
    expect(deployedVolumes(`http://h/x.img#${fragment}`, "/workspace")).toEqual(expected);
  });

  test.each([
    [40_000, /fragment has \d+ characters, and 4096 are allowed/],
    [500, /it has 500 volumes, and 16 are allowed/],
  ])("%i entries are refused before any is looked at", (count, problem) => {
    const url = `http://h/x.img#${Array(count).fill("volume=").join("&")}`;
    expect(deployedVolumes(url)).toEqual({ volumes: [], problem: expect.stringMatching(problem) });
  });

  test("a place for the workspace that isn't known yet may be anywhere", () => {
    expect(deployedVolumes("http://h/x.img#volume=a:/workspace").problem).toBeNull();
  });
});

test("a task's volume comes instead of the image's at the same path", () => {
  const image = [mount("a", "/a"), mount("b", "/b", true)];
  expect(mountsOfTask(image)).toEqual(image);
  const task = [mount("c", "/b"), mount("d", "/d")];
  expect(mountsOfTask(image, task)).toEqual([mount("a", "/a"), ...task]);
});
