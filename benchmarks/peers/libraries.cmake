# The other libraries whose norms are timed (here) and whose errors are measured (../accuracy): a file and a line each.
#
# A library is compiled where its header and all of its libraries are found. These are looked for by themselves: the
# CMake packages of Debian's libtorch-dev and libdnnl-dev require packages that these two do not depend on.

# simdnorm_peer(name file [FORWARD_ONLY] INSTALL words HEADER file LIBRARIES file... [HINTS folder...])
function(simdnorm_peer name file)
  cmake_parse_arguments(PARSE_ARGV 2 peer "FORWARD_ONLY" "INSTALL;HEADER" "LIBRARIES;HINTS")
  cmake_path(GET file STEM stem)
  find_path(PEER_${stem}_INCLUDE ${peer_HEADER} PATH_SUFFIXES ${stem} HINTS ${peer_HINTS})
  mark_as_advanced(PEER_${stem}_INCLUDE)
  set(found ${PEER_${stem}_INCLUDE})
  set(libraries "")
  foreach(library IN LISTS peer_LIBRARIES)
    find_library(PEER_${library}_LIBRARY ${library} HINTS ${peer_HINTS})
    mark_as_advanced(PEER_${library}_LIBRARY)
    list(APPEND libraries ${PEER_${library}_LIBRARY})
    if(NOT PEER_${library}_LIBRARY)
      set(found FALSE)
    endif()
  endforeach()
  set(needs FORWARD)
  if(NOT peer_FORWARD_ONLY)
    list(APPEND needs BACKWARD)
  endif()
  if(found)
    add_library(peer_${stem} OBJECT EXCLUDE_FROM_ALL ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${file})
    set_target_properties(peer_${stem} PROPERTIES CXX_EXTENSIONS OFF)
    target_include_directories(peer_${stem} SYSTEM PRIVATE ${PEER_${stem}_INCLUDE})
    target_link_libraries(peer_${stem} PRIVATE simdnorm_developer PUBLIC ${libraries} ${CMAKE_DL_LIBS})
  endif()
  foreach(pass IN LISTS needs)
    if(found)
      set_property(GLOBAL APPEND PROPERTY SIMDNORM_PEERS_${pass} peer_${stem})
    else()
      set_property(GLOBAL APPEND PROPERTY SIMDNORM_PEERS_${pass}_MISSING "${name}")
      set_property(GLOBAL APPEND PROPERTY SIMDNORM_PEERS_${pass}_INSTALL "${name} (${peer_INSTALL})")
    endif()
  endforeach()
endfunction()

# simdnorm_link_peers(program FORWARD|BACKWARD missing [install]): all that were found and have this pass; the names of the
# others, and what to install for them.
function(simdnorm_link_peers program pass missing)
  get_property(found GLOBAL PROPERTY SIMDNORM_PEERS_${pass})
  target_link_libraries(${program} PRIVATE ${found})
  get_property(names GLOBAL PROPERTY SIMDNORM_PEERS_${pass}_MISSING)
  set(${missing} ${names} PARENT_SCOPE)
  if(ARGC GREATER 3)
    get_property(install GLOBAL PROPERTY SIMDNORM_PEERS_${pass}_INSTALL)
    set(${ARGV3} ${install} PARENT_SCOPE)
  endif()
endfunction()

# Where README.md has ONNX Runtime put, if the system has no package of it.
set(onnxruntime "${PROJECT_SOURCE_DIR}/build/onnxruntime")
set(onnxruntime_processor x64)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(onnxruntime_processor arm64)
endif()
file(GLOB onnxruntime_npm "${onnxruntime}/node_modules/onnxruntime-node/bin/*/linux/${onnxruntime_processor}")

simdnorm_peer(torch torch.cpp INSTALL "Debian: libtorch-dev" HEADER ATen/native/layer_norm.h LIBRARIES torch_cpu c10)
simdnorm_peer("oneDNN 2" onednn.cpp INSTALL "Debian: libdnnl-dev" HEADER oneapi/dnnl/dnnl.hpp LIBRARIES libdnnl.so.2)
simdnorm_peer("ONNX Runtime" onnxruntime.cpp FORWARD_ONLY INSTALL "see benchmarks/README.md" HEADER onnxruntime_c_api.h
              LIBRARIES libonnxruntime.so.1 HINTS "${onnxruntime}" "${onnxruntime}/include" "${onnxruntime}/lib"
                                                  ${onnxruntime_npm})
