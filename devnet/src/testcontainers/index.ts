export {
  type DevnetContainerAccount,
  type DevnetContainerNode,
  GevulotDevnetContainer,
  StartedGevulotDevnetContainer,
} from "./gevulotDevnetContainer.ts";
